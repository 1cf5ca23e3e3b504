"""How Starlette makes an asynchronous iterator of a sync one: a thread for each step."""

from __future__ import annotations

from collections.abc import Iterable
from types import AsyncGeneratorType
from typing import Any

from starlette import concurrency

from .tools import own_function

__all__ = ["threaded_iterator"]

# As it was before somebody could have put another function in its place: its generators have this code.
_CODE = concurrency.iterate_in_threadpool.__code__ if own_function(concurrency.iterate_in_threadpool) else None


def threaded_iterator(content: Any) -> Iterable[Any] | None:
    """Return what Starlette would step in threads, where `content` is that and has not begun; else None."""
    if type(content) is not AsyncGeneratorType or content.ag_code is not _CODE or content.ag_frame is None:
        return None
    found = content.ag_frame.f_locals
    if set(found) != {"iterator"}:
        return None
    given: Iterable[Any] = found["iterator"]
    return given
