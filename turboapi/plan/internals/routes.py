"""An application's routes in the order in which they are tried, included routers flattened."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import fastapi
import fastapi.routing as _routing
from starlette import routing
from starlette.convertors import FloatConvertor, IntegerConvertor, PathConvertor, StringConvertor, UUIDConvertor

from ..facts import Mounted, RouteFacts
from ..plans import Fallback
from .stack import Stack, read_stack

__all__ = ["Mounts", "host_taken", "routes"]

# The patterns that the engine's router knows. Releases differ: before Starlette 0.40 a UUID had lower case only.
_CONVERTORS = {
    StringConvertor: "[^/]+",
    PathConvertor: ".*",
    IntegerConvertor: "[0-9]+",
    FloatConvertor: r"[0-9]+(\.[0-9]+)?",
    UUIDConvertor: "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}",
}
_MATCHES = (routing.Route.matches, _routing.APIRoute.matches)
_HANDLES = (routing.Route.handle, _routing.APIRoute.handle)


# A mount, its FastAPI application, and the middleware of that where it is understood.
Mounts = list[tuple[Any, Any, Stack | None]]


def routes(
    app: Any,
    stack: Stack,
    lists: list[list[Any]],
    mounts: Mounts,
    read: Callable[[Any], Stack | Fallback] = read_stack,
) -> Iterator[RouteFacts]:
    """Yield the application's HTTP routes; the lists that they stand in are added to `lists`.

    read: gives the stack of a mounted application.

    An inner router is tried as a whole, but first match wins there too, so flat order says the same. So it does for a
    mounted FastAPI application, which is added to `mounts`: the mount behind its routes takes all that they leave.
    """
    lists.append(app.router.routes)
    hosts: tuple[Any, ...] = ()
    for facts in _walk(app.router.routes, lists, getattr(app.router, "form_limits", None) or {}):
        if facts.kind == "host":
            hosts = (*hosts, facts.route)
        elif hosts:
            facts = facts._replace(hosts=hosts)
        if facts.kind == "mount" and isinstance(facts.route.app, fastapi.FastAPI):
            yield from _mounted(app, stack, facts, lists, mounts, read)
        else:
            yield facts


def _mounted(
    outer: Any,
    around: Stack,
    facts: RouteFacts,
    lists: list[list[Any]],
    mounts: Mounts,
    read: Callable[[Any], Stack | Fallback],
) -> Iterator[RouteFacts]:
    app = facts.route.app
    stack = read(app)
    why = _unmountable(outer, around, facts, stack)
    if isinstance(stack, Fallback) or why:
        mounts.append((facts.route, app, None))
        yield facts._replace(why=f"mounted application: {why}")
        return
    mounts.append((facts.route, app, stack))
    own = Mounted(app, facts.path, stack)
    for each in routes(app, stack, lists, mounts, read):
        if each.kind == "barrier":
            break  # the mount stands behind it
        inner = own if each.mounted is None else each.mounted._replace(prefix=facts.path + each.mounted.prefix)
        table_path = each.table_path and facts.path + each.table_path
        path, hosts = facts.path + each.path, (*facts.hosts, *each.hosts)
        limits = {**facts.form_limits, **each.form_limits}
        yield each._replace(path=path, table_path=table_path, mounted=inner, hosts=hosts, form_limits=limits)
    yield facts._replace(why="")


def _unmountable(outer: Any, around: Stack, facts: RouteFacts, stack: Stack | Fallback) -> str | None:
    """Tell why the routes of a mounted application cannot run from here."""
    if isinstance(stack, Fallback):
        return stack.reason
    app = facts.route.app
    plain = facts.included is None and type(facts.route).handle is routing.Mount.handle
    if not plain or facts.route.param_convertors.keys() != {"path"}:
        return "its mount is not a plain one"
    if outer.root_path or app.root_path:
        return "root_path"
    if stack.cors is not None or any(getattr(each, "pieces", ()) for each in (stack, around)):
        return "middleware"
    if stack.limited or around.limited:
        return "body limit"
    if around.errors.handler is not None:
        return "the outer application handles every exception, this one's too"
    if outer.middleware_stack is not None and app.middleware_stack is None:
        # Which exception handlers it has is settled then.
        return "compiled with its first request"
    return None


def _walk(entries: Sequence[Any], lists: list[list[Any]], limits: Mapping[str, Any]) -> Iterator[RouteFacts]:
    for route in entries:
        if _is_included(route):
            yield from _walk_included(route, lists, limits)
        else:
            yield from _limited(_route(route, route, None), limits)


def _limited(found: Iterator[RouteFacts], limits: Mapping[str, Any]) -> Iterator[RouteFacts]:
    """The same facts with the limits for forms that hold around them (0.155 on)."""
    return (each._replace(form_limits=limits) for each in found) if limits else found


def _is_included(route: Any) -> bool:
    included = getattr(_routing, "_IncludedRouter", None)
    return included is not None and isinstance(route, included)


def _walk_included(included: Any, lists: list[list[Any]], limits: Mapping[str, Any]) -> Iterator[RouteFacts]:
    """Routes of a router that FastAPI includes lazily (0.137 on): what counts are its effective candidates."""
    router = included.original_router
    lists.append(router.routes)
    cls = type(router)
    own: Any = _routing.APIRouter
    if cls.matches is not own.matches or cls.handle is not own.handle or {"matches", "handle"} & vars(router).keys():
        yield _barrier(included, f"router class {cls.__name__} decides for itself")
        return
    limits = {**limits, **(getattr(included.include_context, "form_limits", None) or {})}
    for candidate in included.effective_candidates():
        if _is_included(candidate):
            yield from _walk_included(candidate, lists, limits)
            continue
        original = candidate.original_route
        if isinstance(original, _routing.APIRoute):
            yield from _limited(_route(original, candidate, included), limits)
        else:
            shown = candidate.starlette_route or original
            yield from _route(shown, shown, included)


def _route(route: Any, effective: Any, included: Any) -> Iterator[RouteFacts]:
    """Facts of one route; `effective` has the path, methods and application that count."""
    cls = type(route)
    if "matches" in getattr(route, "__dict__", ()):
        yield _barrier(effective, "route with a `matches` of its own")
    elif isinstance(route, routing.Route) and cls.matches in _MATCHES:
        yield _by_path(route, effective, included)
    elif isinstance(route, routing.WebSocketRoute):
        yield _socket(route, included)
    elif isinstance(route, routing.Mount):
        path = route.path
        known = isinstance(path, str) and _pattern(path + "/{path:path}") == route.path_regex.pattern
        if cls.matches is not routing.Mount.matches or not known or _strange(route):
            yield _barrier(route, "mount that cannot be told by its path")
        else:
            yield RouteFacts("mount", route, included, path, None, "", route.name or "", None, "mounted application")
    elif isinstance(route, routing.Host) and cls.matches is routing.Host.matches and not _strange(route):
        why = "matched by the Host header, through the application's ASGI interface"
        yield RouteFacts("host", route, included, f"//{route.host}", None, "", route.name or "", None, why)
    else:
        yield _barrier(effective, f"route class {cls.__name__} decides for itself")


def _socket(route: Any, included: Any) -> RouteFacts:
    """Facts of a WebSocket route; one that decides for itself what it matches is a barrier to sockets and requests."""
    cls = type(route)
    if cls.matches not in (routing.WebSocketRoute.matches, _routing.APIWebSocketRoute.matches):
        return _barrier(route, f"route class {cls.__name__} matches in its own way")
    name = route.name or ""
    if cls.handle is not routing.WebSocketRoute.handle or "handle" in vars(route):
        why = f"route class {cls.__name__} handles in its own way"
        return RouteFacts("websocket", route, included, route.path, None, "", name, None, why)
    if not route.path.startswith("/") or _pattern(route.path) != route.path_regex.pattern or _strange(route):
        why = "path with a convertor of the application's own, or one that does not say what it matches"
        return RouteFacts("websocket", route, included, route.path, None, "", name, None, why, table_path="?")
    return RouteFacts("websocket", route, included, route.path, None, "", name, route.app, "")


def _strange(effective: Any) -> list[str]:
    """Return the names of the parameters whose convertors are the application's own."""
    return [
        key
        for key, convertor in effective.param_convertors.items()
        if _CONVERTORS.get(type(convertor)) != convertor.regex
    ]


def host_taken(hosts: Sequence[Any]) -> Callable[[bytes | None], bool]:
    """Return the function that tells of a Host header whether one of the Host routes takes a request with it.

    It asks Starlette, so releases may differ in how they read the header; no code of the user's runs.
    """

    @functools.lru_cache(maxsize=256)
    def taken(value: bytes | None) -> bool:
        scope = {"type": "http", "headers": [] if value is None else [(b"host", value)]}
        return any(route.matches(scope)[0] is not routing.Match.NONE for route in hosts)

    return taken


def _by_path(route: Any, effective: Any, included: Any) -> RouteFacts:
    """Facts of a route that matches by its path and methods as Starlette's do."""
    path = effective.path
    if not isinstance(path, str) or not path.startswith("/") or _pattern(path) != effective.path_regex.pattern:
        return _barrier(effective, "path that does not say what it matches")
    methods = tuple(sorted(effective.methods)) if effective.methods else None
    allow = ", ".join(effective.methods) if effective.methods else ""
    name = str(effective.name)
    strange = _strange(effective)
    if strange:
        why = "path with a convertor of the application's own"
        return RouteFacts("loose", effective, included, path, methods, allow, name, None, why, _loosened(path, strange))
    if type(route).handle not in _HANDLES or "handle" in vars(route):
        why = f"route class {type(route).__name__} handles requests in its own way"
        return RouteFacts("route", effective, included, path, methods, allow, name, None, why)
    if isinstance(route, _routing.APIRoute):
        return RouteFacts("api", effective, included, path, methods, allow, name, _asgi(route, effective), "")
    # Of an included one FastAPI puts more into the scope than can be told from here.
    asgi = route.app if included is None else None
    return RouteFacts("route", effective, included, path, methods, allow, name, asgi, "not a FastAPI route")


def _asgi(route: Any, effective: Any) -> Any:
    """Return the application behind a route. Releases up to 0.139 make that of an included one for each request."""
    if hasattr(effective, "app") or type(route).get_route_handler is not _routing.APIRoute.get_route_handler:
        return getattr(effective, "app", route.get_route_handler)
    token = _routing._effective_route_context_var.set(effective)
    try:
        return _routing.request_response(route.get_route_handler())
    finally:
        _routing._effective_route_context_var.reset(token)


def _barrier(route: Any, why: str) -> RouteFacts:
    path, name, methods = (getattr(route, attr, None) for attr in ("path", "name", "methods"))
    return RouteFacts(
        kind="barrier",
        route=route,
        included=None,
        path=path if isinstance(path, str) else "*",
        methods=tuple(sorted(methods)) if isinstance(methods, set) else None,
        allow="",
        name=name if isinstance(name, str) else type(route).__name__,
        asgi=None,
        why=why,
    )


def _loosened(path: str, names: Sequence[str]) -> str:
    """Return a path that matches at least what `path` matches: anything stands for the named parameters."""
    for name in names:
        path = re.sub(rf"{{{name}:[a-zA-Z_][a-zA-Z0-9_]*}}", f"{{{name}:path}}", path)
    return path


@functools.lru_cache(maxsize=4096)
def _pattern(path: str) -> str:
    return routing.compile_path(path)[0].pattern
