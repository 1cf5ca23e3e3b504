"""How FastAPI ends dependencies with `yield`: what differs between its releases."""

from __future__ import annotations

import functools
from types import CodeType

import fastapi.concurrency as _concurrency
import fastapi.routing as _routing
from fastapi.exceptions import FastAPIError

from .scopes import exit_stacks

__all__ = ["exits_always", "late_errors_after_exits", "shields_exits", "swallowed"]


@functools.cache
def exits_always() -> bool:
    """Tell whether a sync dependency hears of cancellation and the like, too, and is shielded from it at its end.

    Older releases leave it to the garbage collector then.
    """
    function = getattr(_concurrency.contextmanager_in_threadpool, "__wrapped__", None)
    return function is not None and "BaseException" in function.__code__.co_names


def shields_exits() -> bool:
    """Tell whether async dependencies end in a scope that those outside of the route do not reach."""
    return hasattr(_concurrency, "_asynccontextmanager_with_shielded_exit")


def late_errors_after_exits() -> bool:
    """Tell whether a request is refused after the dependencies have ended without hearing of it (before 0.118)."""
    return not exit_stacks()


def swallowed() -> FastAPIError:
    """Return FastAPI's error for a dependency that has swallowed an exception, so that there is no response."""
    return FastAPIError(_swallowed_text())


@functools.cache
def _swallowed_text() -> str:
    for function in (_routing.request_response, _routing.get_request_handler):
        text = _constant(function.__code__, ("Response not awaited", "No response object"))
        if text is not None:
            return text
    return "No response: an exception was raised, and a dependency with yield has not raised it again."


def _constant(code: CodeType, starts: tuple[str, ...]) -> str | None:
    for const in code.co_consts:
        if isinstance(const, str) and const.startswith(starts):
            return const
        if isinstance(const, CodeType) and (found := _constant(const, starts)) is not None:
            return found
    return None
