"""Where foreign middleware calls the application, a compiled route may stand in for it.

Middleware keeps the application that it wraps wherever it likes (an attribute, a
closure), so it cannot be given another one. But the last of them calls the
application's ExceptionMiddleware. That object's class becomes a subclass here
that looks, before it does what it always did, whether the request is one that
has a compiled route waiting (a context variable says so). For everything else,
the application's own ASGI face included, nothing changes.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from starlette.middleware.exceptions import ExceptionMiddleware

__all__ = ["Waiting", "install_gate", "own_exceptions", "pass_gate", "waiting"]


class Waiting:
    """One request on its way through foreign middleware: it can be taken once, by what comes out of that.

    The middleware may call another application meanwhile, whose own gate is not the one that is waited for.
    """

    __slots__ = ("_gate", "_run")

    def __init__(self, gate: ExceptionMiddleware, run: Callable[[Any, Any, Any], Any]) -> None:
        """`run(scope, receive, send)` gives a coroutine that answers; `gate` is the application's."""
        self._gate = gate
        self._run: Any = run

    def take(self, gate: ExceptionMiddleware) -> Callable[[Any, Any, Any], Any] | None:
        """Return what answers, to its own gate and the first time; None otherwise."""
        if gate is not self._gate:
            return None
        run: Callable[[Any, Any, Any], Any] | None = self._run
        self._run = None
        return run

    def end(self) -> None:
        """The request is over: nothing is to be taken any more."""
        self._run = None


waiting: contextvars.ContextVar[Waiting | None] = contextvars.ContextVar("turboapi_waiting", default=None)


class _Gate(ExceptionMiddleware):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        found = waiting.get()
        run = None if found is None or scope["type"] != "http" else found.take(self)
        if run is None:
            await super().__call__(scope, receive, send)
        else:
            await run(scope, receive, send)


_Gate.__name__ = ExceptionMiddleware.__name__
_Gate.__qualname__ = ExceptionMiddleware.__qualname__
_Gate.__module__ = ExceptionMiddleware.__module__


def own_exceptions(value: Any) -> bool:
    """Tell whether this is Starlette's own exception middleware, gate or not."""
    return type(value) in (ExceptionMiddleware, _Gate)


def install_gate(exceptions: ExceptionMiddleware) -> None:
    """Make an application's exception middleware a gate. Doing so again changes nothing."""
    exceptions.__class__ = _Gate


async def pass_gate(exceptions: ExceptionMiddleware, scope: Any, receive: Any, send: Any) -> None:
    """Run the application behind the gate, as FastAPI would."""
    await ExceptionMiddleware.__call__(exceptions, scope, receive, send)
