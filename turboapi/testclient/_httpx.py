"""The HTTP client library: the one that Starlette's own test client uses, so that its classes are the caller's.

Starlette chooses httpx2 where it is installed and it knows it, else httpx; where there is none it says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2 as httpx
else:
    from starlette.testclient import httpx

__all__ = ["httpx"]
