"""How an entry says, before any side effect, that FastAPI itself has to answer."""

from __future__ import annotations

from typing import cast

__all__ = ["Decline", "decline_type"]


class Decline(Exception):
    """Stands in for `_hot.Fallback` where no engine is loaded (listing routes, tests)."""


def decline_type() -> type[Exception]:
    """Return the exception class that the engine understands."""
    from ..engine import _load

    return cast(type[Exception], _load.hot().Fallback) if _load.loaded() else Decline
