"""WebSocket routes: found by the engine's table, answered by FastAPI's own handler of the route.

What is compiled away is what stands between the server and that handler: the
middleware that has nothing to do with WebSockets, the search of the route, and
every message's way through Starlette's coroutines. Dependencies and parameters
are solved once in a conversation, so FastAPI's own function does it.
"""

from __future__ import annotations

from typing import Any

from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from . import internals
from .entry import Entry, call_name
from .facts import RouteFacts
from .internals import Stack
from .plans import Fallback, HotPlan
from .scope import Surroundings

__all__ = ["build_socket"]


def build_socket(facts: RouteFacts, stack: Stack, around: Surroundings) -> Entry | Fallback:
    """Compile one WebSocket route."""
    if facts.asgi is None:
        return Fallback(facts.why)
    if facts.mounted is not None or facts.hosts:
        return Fallback("in a mounted application" if facts.mounted is not None else "behind a Host route")
    in_the_way = next((piece.name for piece in stack.pieces if not internals.leaves_sockets_alone(piece)), None)
    if in_the_way is not None:
        return Fallback(f"middleware {in_the_way}")
    handler = internals.dressed(facts.asgi)
    if isinstance(handler, Fallback):
        return handler

    async def converse(scope: Scope, receive: Receive, _send: Send) -> None:
        # The senders that the layers around this put around each other look for HTTP responses only.
        await handler(scope, receive, receive.__self__.send)  # type: ignore[attr-defined]

    layers = internals.around_router(stack, converse)
    app, route = around.scope["app"], facts.route
    entries = {name: around.scope[name] for name in ("app", "router", "root_path") if name in around.scope}
    selected = internals.selected_scope(facts)

    def entry(proxy: Any) -> Any:
        scope, receive, send = proxy.scope(), proxy.receive, proxy.send
        # FastAPI puts these there before it looks for a route.
        match, found = route.matches({**scope, **entries})
        if match is not Match.FULL:
            return app(scope, receive, send)
        scope.update(entries)
        scope.update(selected)
        scope.update(found)
        return layers(scope, receive, send)

    return Entry(HotPlan.of_proxy(entry, call_name(route.endpoint), status=101), (), "none", None)
