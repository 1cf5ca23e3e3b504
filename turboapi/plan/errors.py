"""How an exception of a compiled route becomes an answer: as Starlette's middleware would have it.

Two layers look for the application's handler, the route's and the exception
middleware's (a handler that raises gets a second chance there); what nobody
handles belongs to the outermost layer, which answers 500 and lets the server log.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from starlette._utils import is_async_callable
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from . import internals
from .facts import RouteFacts
from .internals import Stack
from .scope import Surroundings, Unwinding, request_of, stacks_used, unwind_failed

__all__ = ["Errors", "ask_handlers", "call_handler", "find_handler"]

_log = logging.getLogger("turboapi.error")


class Errors:
    """Answers the exceptions of one application's compiled routes."""

    def __init__(self, stack: Stack, around: Surroundings, routes: Sequence[tuple[RouteFacts, str]]) -> None:
        """Make it from what the plans were made of. routes: the compiled ones, each with the kind of its body."""
        self._stack = stack
        self._around = around
        self._routes = routes

    def quick(self, proxy: Any, exc: BaseException) -> Response | None:
        """Return the answer where FastAPI's own handlers give it, None where code of the user's has to run."""
        stack = self._stack
        if proxy.request is not None and stacks_used(proxy.request.scope):
            return None
        handler = find_handler(stack, exc)
        if handler is None:
            if stack.errors.handler is not None or stack.errors.debug or not isinstance(exc, Exception):
                return None
            _report(proxy, exc)
            answer: Response = self.outermost(stack.errors.error_response(cast(Request, None), exc))
            return answer
        if handler not in internals.own_handlers() or getattr(proxy, "started", False):
            return None
        try:
            response: Response = internals.drive(handler(None, exc))
        except Exception:
            # A detail that is no JSON, say: then others may have a say, too.
            return None
        exc.__traceback__ = None
        return response

    async def handle(self, proxy: Any, exc: BaseException) -> Response | None:
        """Return the answer that the application's handlers give. Raises what they let through. Loop's thread."""
        if not isinstance(exc, Exception):
            raise exc
        try:
            answer: Response | None = await ask_handlers(
                self._stack,
                proxy,
                exc,
                lambda: self._request(proxy),
                lambda: getattr(proxy, "started", False),
                _as_it_is,
            )
        except Exception as left:
            return await self._outermost(self._stack, proxy, left)
        return answer

    async def escaped(self, proxy: Any, exc: Exception) -> Response | None:
        """Return the outermost layer's answer to what came out of the middleware; None where one has started."""
        try:
            return await self._outermost(self._stack, proxy, exc)
        except Exception as error:
            _report(proxy, error)
            return None

    async def _outermost(self, stack: Stack, proxy: Any, exc: Exception) -> Response | None:
        request = Request(self._request(proxy).scope)
        if stack.errors.debug:
            response = await run_in_threadpool(stack.errors.debug_response, request, exc)
        elif stack.errors.handler is None:
            response = stack.errors.error_response(request, exc)
        else:
            response = await call_handler(stack.errors.handler, request, exc)
        if getattr(proxy, "started", False):
            # Too late to answer: the server logs it, and ends the connection where the answer is not complete.
            raise exc
        _report(proxy, exc)
        last: Response | None = self.outermost(response)
        return last

    @staticmethod
    def outermost(response: Any) -> Any:
        """Mark a response that goes out past the CORS middleware."""
        if response is not None:
            response._turbo_outermost = True
        return response

    def _request(self, proxy: Any) -> Request:
        return request_of(proxy, self._around, self._routes)


def find_handler(stack: Stack, exc: BaseException) -> Callable[..., Any] | None:
    """Return the handler that the application has for an exception, by its status or its class."""
    handler = None
    if isinstance(exc, HTTPException):
        handler = stack.exceptions._status_handlers.get(exc.status_code)
    if handler is None:
        handlers = stack.exceptions._exception_handlers
        handler = next((handlers[cls] for cls in type(exc).__mro__ if cls in handlers), None)
    return handler


async def ask_handlers(
    stack: Stack,
    proxy: Any,
    exc: Exception,
    request: Callable[[], Request],
    started: Callable[[], bool],
    give: Callable[[Any], Awaitable[Any]],
) -> Any:
    """Let both layers look for a handler; return what `give` makes of its answer. Raises what they let through.

    started: whether an answer is too late. give: delivers it, inside of the layer, so what it raises may have a
    handler in the next one.
    """
    # Code of the user's may have put something on FastAPI's exit stacks: it hears of the exception first.
    used = proxy.request.scope if proxy.request is not None and stacks_used(proxy.request.scope) else None
    if used is not None:
        exc = await unwind_failed(used, exc, outer=False)
    for layer in ("route", "middleware"):
        handler = find_handler(stack, exc)
        try:
            if handler is not None:
                if started():
                    raise RuntimeError("Caught handled exception, but response already started.") from exc
                answer = await call_handler(handler, request(), exc)
                if used is not None and answer is not None:
                    answer = Unwinding(answer, [], [used["fastapi_middleware_astack"]] if layer == "route" else [])
                return await give(answer)
        except Exception as error:
            exc = error
        if used is not None and layer == "route":
            exc = await unwind_failed(used, exc, outer=True)
    raise exc


async def _as_it_is(answer: Any) -> Any:
    return answer


async def call_handler(handler: Callable[..., Any], request: Request, exc: Exception) -> Any:
    """Return the handler's answer."""
    if is_async_callable(handler):
        return await handler(request, exc)
    return await run_in_threadpool(handler, request, exc)


def _report(proxy: Any, exc: BaseException) -> None:
    if not proxy.failed(exc):
        _log.error("Exception in ASGI application\n", exc_info=exc)
