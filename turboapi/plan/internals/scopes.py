"""What FastAPI puts into a request's scope beside Starlette's own entries."""

from __future__ import annotations

import functools
from typing import Any

import fastapi.routing as _routing
from starlette import routing
from starlette._utils import get_route_path

from ..facts import RouteFacts
from .tools import mentions

__all__ = ["exit_stacks", "included_scope", "names_route", "route_path", "selected_scope"]


@functools.cache
def exit_stacks() -> tuple[str, ...]:
    """Return the names of the AsyncExitStacks in the scope, in the order in which FastAPI closes them.

    The function's is closed before the response is sent, the inner one after it, the middleware's last.
    Releases before 0.117 have none.
    """
    found = []
    for name in ("fastapi_function_astack", "fastapi_inner_astack"):
        if mentions(_routing.request_response.__code__, name):
            found.append(name)
    if mentions(_routing.get_request_handler.__code__, "fastapi_middleware_astack"):
        found.append("fastapi_middleware_astack")
    return tuple(found)


def route_path(scope: dict[str, Any]) -> str:
    """Return the part of the path that routes are matched with."""
    return get_route_path(scope)


def included_scope(included: Any, effective: Any) -> dict[str, Any]:
    """Return FastAPI's own entry for a route of an included router (0.137 on)."""
    return {
        _routing._FASTAPI_INCLUDED_ROUTER_KEY: included,
        _routing._FASTAPI_EFFECTIVE_ROUTE_CONTEXT_KEY: effective,
    }


@functools.cache
def names_route() -> bool:
    """Tell whether the scope names a route that is not FastAPI's: newer Starlette does so, FastAPI's router not."""
    app: Any = routing.Router.app
    return _routing.APIRouter.app is app and mentions(app.__code__, "route")


def selected_scope(facts: RouteFacts) -> dict[str, Any]:
    """Return what routers on the way to a WebSocket route put into the scope, beside what the route itself does."""
    found: dict[str, Any] = {"route": facts.route} if names_route() else {}
    if facts.included is not None:
        contexts = facts.included.effective_candidates()
        own = next(each for each in contexts if getattr(each, "starlette_route", None) is facts.route)
        found["fastapi"] = included_scope(facts.included, own)
    return found
