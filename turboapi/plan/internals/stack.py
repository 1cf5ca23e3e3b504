"""The application's middleware as it will run: is it only what FastAPI itself puts there, and what is in it.

Exception handlers are read from the stack that is in use, not from
`app.exception_handlers`: once the stack is built, changing those changes nothing.
"""

from __future__ import annotations

import copy
import importlib
from typing import Any, NamedTuple

import fastapi
import fastapi.applications
import fastapi.routing
import starlette.applications
from fastapi import exception_handlers
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware

from ..plans import Fallback
from .gate import own_exceptions
from .pieces import Piece, find, piece_of, piece_of_class
from .tools import own_function

__all__ = ["Stack", "alike", "around_router", "leaves_sockets_alone", "own_handlers", "read_stack", "telemetry_watch"]

# What FastAPI releases put around the router, transparent to a request that has nothing to do with them.
_TRANSPARENT = frozenset(
    {
        ("fastapi.middleware.asyncexitstack", "AsyncExitStackMiddleware"),
        ("fastapi.telemetry._asgi", "ExceptionTelemetryMiddleware"),
        ("fastapi._body_limit", "AppBodyLimitMiddleware"),
        ("fastapi._body_limit", "_BodyLimitExceptionMiddleware"),
    }
)


class Stack(NamedTuple):
    """The middlewares that matter to compiled routes.

    cors: the only other one, where that is a CORSMiddleware. pieces: all others, outermost first, down to the first
    that hides what it calls. outside: nothing of the application's is around them, so what they raise is the server's.
    limited: a body limit holds for the whole application. built: False where the application has yet to make them.
    """

    errors: ServerErrorMiddleware
    exceptions: ExceptionMiddleware
    cors: CORSMiddleware | None
    pieces: tuple[Piece, ...]
    outside: bool
    limited: bool
    built: bool


def read_stack(app: Any) -> Stack | Fallback:
    """Return the application's stack, or why its routes cannot run without it."""
    why = _router(app.router) or _telemetry(app)
    if why is not None:
        return Fallback(why)
    cls = type(app)
    if not own_function(fastapi.FastAPI.__call__):
        return Fallback("FastAPI.__call__ was replaced")
    whole = cls.__call__ is not fastapi.FastAPI.__call__ or "__call__" in vars(app)
    if app.middleware_stack is not None:
        stack = _walk(app.middleware_stack, app)
        if isinstance(stack, Stack) and whole:
            stack = stack._replace(cors=None, pieces=(Piece("foreign", app, f"{cls.__name__}.__call__"),), outside=True)
    else:
        stack = _unbuilt(app, whole=whole)
    if isinstance(stack, Stack) and stack.limited and stack.pieces:
        return Fallback("a body limit for the whole application together with middleware")
    return stack


def _unbuilt(app: Any, *, whole: bool) -> Stack | Fallback:
    """Read a stack that the application makes with its first request, or its start-up."""
    builder = type(app).build_middleware_stack
    own_builders = (fastapi.FastAPI.build_middleware_stack, starlette.applications.Starlette.build_middleware_stack)
    if builder not in own_builders or "build_middleware_stack" in vars(app) or not own_function(builder):
        return Fallback("build_middleware_stack was replaced; what it makes is seen when the application has started")
    entries = list(app.user_middleware)
    if [entry.cls for entry in entries] == [CORSMiddleware] and not whole:
        # One of our own shows what it will be: no constructor of the user's runs for it.
        return _walk(app.build_middleware_stack(), app)
    given, app.user_middleware = app.user_middleware, []
    try:
        stack = _walk(app.build_middleware_stack(), app)
    finally:
        app.user_middleware = given
    if isinstance(stack, Fallback) or not (entries or whole):
        return stack
    pieces = [piece_of_class(entry.cls) for entry in entries]
    return stack._replace(pieces=tuple(pieces), built=False)


def alike(app: Any, stack: Stack, other: Stack) -> bool:
    """Tell whether two stacks that were made to see what the application's will be are the same, but for identity."""
    if app.middleware_stack is not None or stack.cors is not None or other.cors is not None:
        return False
    if _handlers(stack.exceptions) != _handlers(other.exceptions):
        return False
    names = ("pieces", "outside", "limited", "built")
    same = all(getattr(stack, name) == getattr(other, name) for name in names)
    return same and stack.errors.handler is other.errors.handler and stack.errors.debug is other.errors.debug


def _handlers(exceptions: Any) -> list[Any]:
    """Return what tells the handlers of an exception middleware, some of which are its own methods."""
    pairs = [*exceptions._exception_handlers.items(), *exceptions._status_handlers.items()]
    methods = [value.__func__ if getattr(value, "__self__", None) is exceptions else value for _, value in pairs]
    return [*(id(key) if isinstance(key, type) else key for key, _ in pairs), *map(id, methods)]


def _router(router: Any) -> str | None:
    cls = type(router)
    own = fastapi.routing.APIRouter
    for name in ("app", "__call__", "handle", "matches"):
        if getattr(cls, name, None) is not getattr(own, name, None) or name in vars(router):
            return f"router class {cls.__name__} overrides {name}"
    stack = router.middleware_stack
    if getattr(stack, "__self__", None) is router and getattr(stack, "__func__", None) is own.app:
        return None
    if type(stack).__name__ == "RequestBodyLimitMiddleware":
        return None  # counted as a limit below
    return "middleware on the router"


def _telemetry(app: Any) -> str | None:
    native = getattr(app, "_native_telemetry", None)
    if native is None or not native.enabled() or _stands_aside(app, native):
        return None
    return "telemetry is on"


def _stands_aside(app: Any, native: Any) -> bool:
    """Tell whether FastAPI's telemetry does nothing because OpenTelemetry's own middleware is in the stack."""
    asks: Any = getattr(fastapi.applications, "_legacy_otel", None)
    known = own_function(asks, "_legacy_otel") and native.config.get("exclude") is None
    return known and app.middleware_stack is not None and bool(asks(app.middleware_stack))


def telemetry_watch(app: Any) -> tuple[list[dict[str, Any]], list[tuple[Any, str]]]:
    """Return what turns FastAPI's telemetry on (0.142 on): dicts and attributes to watch."""
    config = getattr(app, "_telemetry", None)
    if not isinstance(config, dict):
        return [], []
    attrs = []
    for module, name in (
        ("opentelemetry.trace", "_TRACER_PROVIDER"),
        ("opentelemetry.metrics._internal", "_METER_PROVIDER"),
        ("opentelemetry._logs._internal", "_LOGGER_PROVIDER"),
    ):
        try:
            attrs.append((importlib.import_module(module), name))
        except ImportError:
            continue
    return [config], attrs


def own_handlers() -> tuple[Any, ...]:
    """Return FastAPI's own exception handlers: they look at the exception only, and await nothing."""
    return exception_handlers.http_exception_handler, exception_handlers.request_validation_exception_handler


def _walk(stack: Any, app: Any) -> Stack | Fallback:
    errors = exceptions = None
    pieces: list[Piece] = []
    limited = type(app.router.middleware_stack).__name__ == "RequestBodyLimitMiddleware"
    at, outside = stack, False
    while at is not app.router and at is not None:
        cls = type(at)
        if cls is ServerErrorMiddleware and errors is None:
            errors = at
        elif own_exceptions(at) and exceptions is None and _ends(at, app.router):
            exceptions = at
        elif (cls.__module__, cls.__name__) == ("fastapi._body_limit", "AppBodyLimitMiddleware"):
            if type(at.app).__name__ == "RequestBodyLimitMiddleware":
                limited = True
                at = at.app.app
                continue
        elif (cls.__module__, cls.__name__) not in _TRANSPARENT:
            if exceptions is not None:
                return Fallback(f"middleware {cls.__name__} inside of the exception handlers")
            outside = outside or errors is None
            pieces.append(piece_of(at))
        at = vars(at).get("app") if hasattr(at, "__dict__") else None
    if exceptions is None and pieces:
        exceptions = find(pieces[-1].middleware, lambda each: own_exceptions(each) and _ends(each, app.router))
    if errors is None and outside:
        errors = find(stack, lambda each: type(each) is ServerErrorMiddleware)
    if errors is None or exceptions is None:
        return Fallback("the middleware stack lacks Starlette's error handling")
    if outside:
        pieces = [Piece("foreign", stack, pieces[0].name)]
    cut = next((index for index, piece in enumerate(pieces) if piece.kind == "foreign"), len(pieces))
    pieces = pieces[: cut + 1]
    cors = None
    if len(pieces) == 1 and type(pieces[0].middleware) is CORSMiddleware:
        cors, pieces = pieces[0].middleware, []
    return Stack(errors, exceptions, cors, tuple(pieces), outside, limited, True)


def _ends(exceptions: Any, router: Any) -> bool:
    """Tell whether there is nothing but FastAPI's own between the exception middleware and the router."""
    at = exceptions.app
    while at is not router:
        if (type(at).__module__, type(at).__name__) not in _TRANSPARENT:
            return False
        at = at.app
    return True


def around_router(stack: Stack, app: Any) -> Any:
    """Return what is around the router, from the exception handlers inwards, around `app` instead of it."""
    layers: list[Any] = [stack.exceptions]
    at: Any = stack.exceptions.app
    while (type(at).__module__, type(at).__name__) in _TRANSPARENT:
        layers.append(at)
        at = at.app
    for layer in reversed(layers):
        made = copy.copy(layer)
        made.app = app
        app = made
    app.__class__ = ExceptionMiddleware  # no gate: its request has arrived
    return app


def leaves_sockets_alone(piece: Piece) -> bool:
    """Tell whether a middleware hands a WebSocket on as it is."""
    return piece.kind in ("dispatch", "cors", "gzip")
