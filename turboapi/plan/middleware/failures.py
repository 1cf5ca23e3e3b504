"""Exceptions under middleware: what is handled inside of it, and what leaves it.

Starlette looks for the application's handler in two layers, both inside all
middleware (the route's, then the exception middleware's; a handler that raises
gets a second chance there). What neither handles goes out through the middleware,
and what comes out there is answered 500 by the outermost layer.
"""

from __future__ import annotations

import logging
from typing import Any, cast

from starlette.responses import Response

from ..errors import Errors, call_handler, find_handler
from ..facts import RouteFacts
from ..internals import Stack
from ..scope import Surroundings, Unwinding, request_of, stacks_used, unwind_failed
from .reply import is_value

__all__ = ["Failures"]

_log = logging.getLogger("turboapi.error")


class Failures:
    """Answers the exceptions of one route."""

    __slots__ = ("_around", "_errors", "_route", "_stack", "exceptions")

    def __init__(self, stack: Stack, around: Surroundings, errors: Errors, facts: RouteFacts, *, body: bool) -> None:
        """Make it from what the plan was made of. body: the plan takes one, which was read before it was called."""
        self.exceptions = stack.exceptions
        self._stack = stack
        self._around = around
        self._errors = errors
        self._route = ((facts, "json" if body else "none"),)

    async def send(self, proxy: Any, response: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        """Send the route's response; what that raises may have a handler."""
        sender = _Sender(send)
        try:
            await response(scope, receive, sender)
        except Exception as exc:
            return await self._handle(proxy, exc, scope, receive, sender)
        return None

    async def unsent(self, proxy: Any, exc: Exception) -> None:
        """Raise what the route makes of an exception of its `send`, once the response has started."""
        sender = _Sender(None)
        sender.started = True
        await self._handle(proxy, exc, None, None, sender)

    async def answer(self, proxy: Any, exc: Exception, scope: Any, receive: Any, send: Any) -> Response | None:
        """Answer the route's exception as the layers inside the middleware do. Raises what they let through."""
        if find_handler(self._stack, exc) is not None:
            quick = self._errors.quick(proxy, exc)
            if quick is not None:
                return quick
        elif proxy.request is None or not stacks_used(proxy.request.scope):
            raise exc
        return await self._handle(proxy, exc, scope, receive, _Sender(send))

    async def _handle(self, proxy: Any, exc: Exception, scope: Any, receive: Any, sender: _Sender) -> Response | None:
        stack = self._stack
        used = proxy.request.scope if proxy.request is not None and stacks_used(proxy.request.scope) else None
        if used is not None:
            exc = await unwind_failed(used, exc, outer=False)
        for layer in ("route", "middleware"):
            handler = find_handler(stack, exc)
            try:
                if handler is not None:
                    if sender.started:
                        raise RuntimeError("Caught handled exception, but response already started.") from exc
                    answer = await call_handler(handler, request_of(proxy, self._around, self._route), exc)
                    if used is not None and answer is not None:
                        answer = Unwinding(answer, [], [used["fastapi_middleware_astack"]] if layer == "route" else [])
                    if answer is None or is_value(answer):
                        return cast("Response | None", answer)
                    await answer(scope, receive, sender)
                    return None
            except Exception as error:
                exc = error
            if used is not None and layer == "route":
                exc = await unwind_failed(used, exc, outer=True)
        raise exc


class _Sender:
    """A send that knows whether the response has started."""

    __slots__ = ("_send", "started")

    def __init__(self, send: Any) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.started = True
        await self._send(message)
