"""Routes whose handler is a function of the application's: the Request in, the response out.

That is what an overridden `get_route_handler` gives, and what Starlette's own
routes (FastAPI's documentation pages among them) have as endpoint. The function
does all the rest by itself, so nothing of the request is read before it runs:
the body comes through the Request, as it arrives.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from fastapi.exceptions import FastAPIError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from . import internals
from .draft import Draft
from .entry import Entry, call_name, limit_unknown
from .facts import Handler, RouteFacts
from .plans import Fallback, HotPlan, Stage
from .scope import Surroundings, stacks_used, unwind_failed
from .source import Source

__all__ = ["build_custom"]


class Sent(Response):
    """Something else that the function gave: whatever it is, it is called as a response would be."""

    def __init__(self, given: Any) -> None:
        self._given = given

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call it."""
        await self._given(scope, receive, send)


class _Gone(Response):
    """Stands for a response that has been sent."""

    def __init__(self) -> None:
        pass

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do nothing."""


_GONE = _Gone()


def build_custom(facts: RouteFacts, handler: Handler, around: Surroundings) -> Entry | Fallback:
    """Compile one route with a custom handler."""
    why = limit_unknown(handler, around)
    if why is not None:
        return Fallback(why)
    draft = Draft(facts, handler, around, Source(facts.title), shown=True)
    bind = draft.source.bind
    function = handler.tree.call
    coroutine = handler.tree.kind == "async"
    request = draft.request()
    draft.early += draft.limit()
    call = f"{bind(function, 'handler')}({request})"
    draft.guard()
    first = [*draft.first, *draft.early]
    lines = [*first, f"return {'await ' if coroutine else ''}{call}"]
    if coroutine and internals.exit_stacks():
        # What is on FastAPI's exit stacks may have to be left in the task in which it was entered.
        used = bind(stacks_used, "stacks_used")
        lines = [
            *first,
            "try:",
            f"    result = await {call}",
            "except BaseException as exc:",
            f"    if {used}(scope):",
            f"        await {bind(_fail, 'fail')}(scope, exc)",
            "    raise",
            f"if {used}(scope):",
            f"    return await {bind(_finish, 'finish')}(result, scope, proxy, {bind(around.cors, 'cors')})",
            "return result",
        ]
    head = f"{'async ' if coroutine else ''}def entry({', '.join(draft.arg_names)}):"
    entry = draft.source.function(head, lines)
    plan = HotPlan(
        stages=(Stage(entry, "loop" if coroutine else "call", coroutine),),
        args=tuple(draft.args),
        encode=Sent,
        plain=False,
        status=200,
        media=b"application/json",
        name=call_name(facts.route.endpoint),
    )
    return Entry(plan, tuple(draft.params), "none", handler.max_body)


async def _fail(scope: Scope, exc: BaseException) -> None:
    """Close what is inside of FastAPI's exception handling because of `exc`. Raises what comes out."""
    if isinstance(exc, Exception):
        raise await unwind_failed(scope, exc, outer=False)
    async with AsyncExitStack() as rest:
        for name in reversed(_inner()):
            await rest.enter_async_context(scope[name])
        raise exc


async def _finish(response: Any, scope: Scope, proxy: Any, cors: Any) -> Response:
    """Send a response between the ends of the exit stacks: the function's before, the others after it."""
    *before, last = _inner()
    sent = False
    async with scope[last]:
        for name in before:
            await scope[name].aclose()
        await response(scope, proxy.receive, _with_cors(proxy, cors))
        sent = True
    if not sent:
        raise FastAPIError("Response not awaited: something on an exit stack of FastAPI's has swallowed an exception.")
    for name in internals.exit_stacks():
        await scope[name].aclose()
    return _GONE


def _inner() -> list[str]:
    return [name for name in internals.exit_stacks() if name != "fastapi_middleware_astack"]


def _with_cors(proxy: Any, cors: Any) -> Send:
    """Return the exchange's send, with CORSMiddleware's headers: an entry that sends by itself is past the engine's."""
    given: Send = proxy.send
    if cors is None:
        return given

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            origin = proxy.header(b"origin")
            origin = None if origin is None else origin.decode("latin-1")
            headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
            message = {**message, "headers": cors(origin, headers, proxy.header(b"cookie") is not None)}
        await given(message)

    return send
