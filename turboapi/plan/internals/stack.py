"""The application's middleware as it will run: is it only what FastAPI itself puts there, and what is in it.

Exception handlers are read from the stack that is in use, not from
`app.exception_handlers`: once the stack is built, changing those changes nothing.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import fastapi
import fastapi.routing
import starlette.applications
from fastapi import exception_handlers
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware

from ..plans import Fallback
from .tools import own_function

__all__ = ["Stack", "own_handlers", "read_stack", "telemetry_watch"]

# What FastAPI releases put around the router, transparent to a request that has nothing to do with them.
_TRANSPARENT = frozenset(
    {
        ("fastapi.middleware.asyncexitstack", "AsyncExitStackMiddleware"),
        ("fastapi.telemetry._asgi", "ExceptionTelemetryMiddleware"),
        ("fastapi._body_limit", "AppBodyLimitMiddleware"),
        ("fastapi._body_limit", "_BodyLimitExceptionMiddleware"),
    }
)


@dataclass(frozen=True, slots=True)
class Stack:
    """The middlewares that matter to compiled routes. limited: a body limit holds for the whole application."""

    errors: ServerErrorMiddleware
    exceptions: ExceptionMiddleware
    cors: CORSMiddleware | None
    limited: bool


def read_stack(app: Any) -> Stack | Fallback:
    """Return the application's stack, or why its routes cannot run without it."""
    cls = type(app)
    if cls.__call__ is not fastapi.FastAPI.__call__ or "__call__" in vars(app):
        return Fallback(f"{cls.__name__} overrides __call__")
    if not own_function(fastapi.FastAPI.__call__):
        return Fallback("FastAPI.__call__ was replaced")
    builder = cls.build_middleware_stack
    own_builders = (fastapi.FastAPI.build_middleware_stack, starlette.applications.Starlette.build_middleware_stack)
    if builder not in own_builders or "build_middleware_stack" in vars(app) or not own_function(builder):
        return Fallback("build_middleware_stack was replaced")
    why = _router(app.router) or _telemetry(app)
    if why is not None:
        return Fallback(why)
    if app.middleware_stack is not None:
        return _walk(app.middleware_stack, app)
    # Not built yet: one of our own shows what it will be, as long as no constructor of the user's runs for it.
    foreign = [entry.cls for entry in app.user_middleware if entry.cls is not CORSMiddleware]
    if foreign:
        return Fallback(f"middleware {getattr(foreign[0], '__name__', foreign[0])}")
    return _walk(app.build_middleware_stack(), app)


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
    if native is not None and native.enabled():
        return "telemetry is on"
    return None


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
    errors = exceptions = cors = None
    limited = type(app.router.middleware_stack).__name__ == "RequestBodyLimitMiddleware"
    at = stack
    while at is not app.router:
        cls = type(at)
        if cls is ServerErrorMiddleware and errors is None:
            errors = at
        elif cls is CORSMiddleware and errors is not None and cors is None and exceptions is None:
            cors = at
        elif cls is ExceptionMiddleware and errors is not None and exceptions is None:
            exceptions = at
        elif (cls.__module__, cls.__name__) == ("fastapi._body_limit", "AppBodyLimitMiddleware"):
            if type(at.app).__name__ == "RequestBodyLimitMiddleware":
                limited = True
                at = at.app.app
                continue
        elif (cls.__module__, cls.__name__) not in _TRANSPARENT:
            return Fallback(f"middleware {cls.__name__}")
        at = getattr(at, "app", None)
        if at is None:
            return Fallback("the middleware stack does not end in the application's router")
    if errors is None or exceptions is None:
        return Fallback("the middleware stack lacks Starlette's error handling")
    return Stack(errors, exceptions, cors, limited)
