"""Exceptions under middleware: what is handled inside of it, and what leaves it.

Starlette looks for the application's handler in two layers, both inside all
middleware (the route's, then the exception middleware's; a handler that raises
gets a second chance there). What neither handles goes out through the middleware,
and what comes out there is answered 500 by the outermost layer.
"""

from __future__ import annotations

from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from ..around import in_scopes
from ..background import run_tasks
from ..errors import Errors, ask_handlers, find_handler
from ..facts import RouteFacts
from ..internals import Stack
from ..scope import Surroundings, request_of, stacks_used
from .reply import Hears, is_value, send_value, sends_plainly

__all__ = ["Failures", "Sender", "deliver"]


class Failures:
    """Answers the exceptions of one route."""

    __slots__ = ("_around", "_errors", "_route", "_stack", "exceptions")

    def __init__(self, stack: Stack, around: Surroundings, errors: Errors, facts: RouteFacts, *, body: str) -> None:
        """Make it from what the plan was made of. body: its kind, read before it is called."""
        self.exceptions = stack.exceptions
        self._stack = stack
        self._around = around
        self._errors = errors
        self._route = ((facts, body),)

    async def send(self, proxy: Any, response: Any, scope: Any, receive: Any, sender: Sender) -> Response | None:
        """Send the route's response; what that raises may have a handler."""
        try:
            await deliver(proxy, response, scope, receive, sender)
        except Exception as exc:
            return await self.answer(proxy, exc, scope, receive, sender)
        return None

    async def unsent(self, proxy: Any, exc: Exception) -> None:
        """Raise what the route makes of an exception of its `send`, once the response has started."""
        sender = Sender(proxy, None)
        sender.started = True
        await self.answer(proxy, exc, None, None, sender)

    async def answer(self, proxy: Any, exc: Exception, scope: Any, receive: Any, sender: Sender) -> Response | None:
        """Answer the route's exception as the layers inside the middleware do. Raises what they let through."""
        if find_handler(self._stack, exc) is not None:
            quick = None if sender.started else self._errors.quick(proxy, exc)
            if quick is not None:
                return quick
        elif proxy.request is None or not stacks_used(proxy.request.scope):
            raise exc

        async def give(answer: Any) -> Response | None:
            if answer is None or is_value(answer):
                return cast("Response | None", answer)
            await deliver(proxy, answer, scope, receive, sender)
            return None

        def request() -> Request:
            return request_of(proxy, self._around, self._route)

        answer: Response | None = await ask_handlers(self._stack, proxy, exc, request, lambda: sender.started, give)
        return answer


async def deliver(proxy: Any, response: Any, scope: Any, receive: Any, sender: Any) -> None:
    """Send a response, and run what it has left for afterwards."""
    if not sends_plainly(response):
        await response(scope, receive, sender)
        return
    await send_value(proxy, response, sender)
    if response.background is not None:
        await run_tasks(proxy, response.background, in_scopes)


class Sender(Hears):
    """A send that knows whether the response has started."""

    __slots__ = ("_proxy", "_send", "started")

    def __init__(self, proxy: Any, send: Any) -> None:
        self._proxy = proxy
        self._send = send
        self.started = False

    async def __call__(self, message: Any) -> None:
        """Pass one message on."""
        if message["type"] == "http.response.start":
            self.started = True
        await self._send(message)

    async def whole(self, reply: Any) -> None:
        """Pass a response on."""
        self.started = True
        await send_value(self._proxy, reply, self._send)
