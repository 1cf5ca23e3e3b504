"""The scope and Request of a compiled route: as FastAPI's middleware and routers would have filled them in.

They are made only for routes whose parameters ask for a Request (or need it to
be read), and for exception handlers of the application.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from . import internals
from .around import push_exit
from .facts import RouteFacts

__all__ = ["ExitStack", "Surroundings", "Unwinding", "request_of", "stacks_used", "unwind_failed", "unwinding"]


class Surroundings(NamedTuple):
    """What the routes of an application have in common.

    scope: entries that FastAPI puts into every scope. decline: the exception class that means "FastAPI answers".
    limited: a body limit holds for the whole application. cors: its CORSMiddleware as a function of headers.
    mounted: the path below which the application stands in another one, None for the outermost.
    layered: there is middleware around it.
    """

    scope: Mapping[str, Any]
    decline: type[Exception]
    limited: bool
    cors: Any = None
    mounted: str | None = None
    layered: bool = False

    def unmounted(self, scope: Scope) -> Exception:
        """Return the exception that declines, and take out of the scope what would lead FastAPI astray."""
        scope["root_path"] = scope.pop("app_root_path")
        for name in ("path_params", "fastapi"):
            scope.pop(name, None)
        return self.decline()

    def entries(self, facts: RouteFacts) -> dict[str, Any]:
        """Return the scope's entries that are the same for all requests of a route."""
        entries = {**self.scope, "endpoint": facts.route.endpoint}
        if facts.kind == "api" or internals.names_route():
            entries["route"] = getattr(facts.route, "original_route", facts.route)
        return entries


def request_of(proxy: Any, around: Surroundings, routes: Sequence[tuple[RouteFacts, str]]) -> Request:
    """Return the exchange's Request, made now where its entry made none.

    routes: the compiled ones, each with the kind of its body in the table. The first full match is the one
    that ran, because every other candidate was tried before it.
    """
    if proxy.request is not None:
        known: Request = proxy.request
        return known
    scope = proxy.scope()
    scope.update(around.scope)
    request = Request(scope, proxy.receive, proxy.send)
    path = internals.route_path(scope)
    for facts, body in routes:
        match = facts.route.path_regex.match(path)
        if match and (facts.methods is None or scope["method"] in facts.methods):
            convertors = facts.route.param_convertors
            scope.update(around.entries(facts))
            scope["path_params"] = {name: convertors[name].convert(text) for name, text in match.groupdict().items()}
            if facts.included is not None:
                scope["fastapi"] = internals.included_scope(facts.included, facts.route)
            if body in ("json", "json?"):
                request._body = proxy.body()
                request._stream_consumed = True
            elif body == "form":
                # One with files has made its Request itself.
                request._form = internals.form_data(proxy.form())
                request._stream_consumed = True
            break
    for name in internals.exit_stacks():
        scope[name] = ExitStack()
    proxy.request = request
    return request


def stacks_used(scope: Mapping[str, Any]) -> bool:
    """Tell whether code of the user's has put something on one of FastAPI's exit stacks."""
    for name in internals.exit_stacks():
        stack = scope.get(name)
        if stack is not None and vars(stack).get("_exit_callbacks"):
            return True
    return False


class ExitStack(AsyncExitStack):
    """An AsyncExitStack that costs nothing until code of the user's puts something on it.

    Until then it is a list of the dependencies that have begun, whose ends the entry calls by itself.
    """

    def __init__(self) -> None:
        self._opened: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        if name != "_exit_callbacks":
            raise AttributeError(name)
        self._exit_callbacks: deque[Any] = deque()
        for generator in self._opened:
            push_exit(self, generator)
        return self._exit_callbacks

    def __iter__(self) -> Iterator[Any]:
        return iter(self._opened)

    def append(self, generator: Any) -> None:
        """Note that a dependency has begun."""
        if "_exit_callbacks" in vars(self):
            push_exit(self, generator)
        else:
            self._opened.append(generator)

    def pop(self) -> None:
        """Forget the last one: it ends now."""
        self._opened.pop()


class Unwinding(Response):
    """A response that closes FastAPI's exit stacks around itself.

    before: stacks that are closed before it is sent, after: the others, in the order in which they are closed.
    """

    def __init__(self, response: Response, before: Sequence[Any], after: Sequence[Any]) -> None:
        self._response = response
        self._before = before
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close, send, close."""
        async with AsyncExitStack() as rest:
            for stack in reversed(self._after):
                await rest.enter_async_context(stack)
            for stack in self._before:
                await stack.aclose()
            await self._response(scope, receive, send)


def unwinding(response: Response, scope: Mapping[str, Any]) -> Unwinding:
    """Return the response that closes all stacks of a request that has succeeded, each when FastAPI does."""
    names = internals.exit_stacks()
    function = names.index("fastapi_inner_astack")
    stacks = [scope[name] for name in names]
    return Unwinding(response, stacks[:function], stacks[function:])


async def unwind_failed(scope: Mapping[str, Any], exc: Exception, *, outer: bool) -> Exception:
    """Close exit stacks because of `exc`: the route's, or the middleware's (outer). Return what comes out."""
    names = [name for name in internals.exit_stacks() if (name == "fastapi_middleware_astack") is outer]
    try:
        async with AsyncExitStack() as rest:
            for name in reversed(names):
                await rest.enter_async_context(scope[name])
            raise exc
    except Exception as error:
        return error
    return internals.swallowed()
