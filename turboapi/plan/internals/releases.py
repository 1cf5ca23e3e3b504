"""Which releases are understood, and whether FastAPI's functions are still its own."""

from __future__ import annotations

import functools
from typing import Any, cast

import fastapi
import fastapi.applications
import fastapi.dependencies.models as _models
import fastapi.dependencies.utils as _utils
import fastapi.routing as _routing
import pydantic
from starlette.applications import Starlette
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Host, Mount, Route, WebSocketRoute

from .tools import own_function

__all__ = ["replaced", "unsupported"]

_OLDEST = (0, 115)
_NEWEST = (0, 165)

_DEPENDANT_FIELDS = frozenset(
    "path_params query_params header_params cookie_params body_params dependencies name call request_param_name "
    "websocket_param_name http_connection_param_name response_param_name background_tasks_param_name "
    "security_scopes_param_name own_oauth_scopes parent_oauth_scopes use_cache path scope concurrency "
    "security_requirements security_scopes cache_key _request_param_names".split()
)
# Functions that instrumentation likes to replace: (module, name).
_ORIGINALS = (
    (_routing, "get_request_handler"),
    (_routing, "run_endpoint_function"),
    (_routing, "serialize_response"),
    (_routing, "solve_dependencies"),
    (_routing, "jsonable_encoder"),
    (_routing, "request_response"),
    (_utils, "solve_dependencies"),
    (_utils, "request_params_to_args"),
    (_utils, "request_body_to_args"),
    (_utils, "get_dependant"),
)
# Methods that run in FastAPI's own way through a request, and not in a compiled one.
_METHODS: tuple[tuple[type[Any], str], ...] = (
    (Starlette, "__call__"),
    (Route, "matches"),
    (Route, "handle"),
    (Mount, "matches"),
    (Mount, "handle"),
    (Host, "matches"),
    (WebSocketRoute, "matches"),
    (WebSocketRoute, "handle"),
    (_routing.APIWebSocketRoute, "matches"),
    (_routing.APIRoute, "matches"),
    (_routing.APIRoute, "handle"),
    (_routing.APIRouter, "app"),
    (_routing.APIRouter, "__call__"),
    (ServerErrorMiddleware, "__call__"),
    (ExceptionMiddleware, "__call__"),
    # Releases before 0.117 have none.
    *(
        (cls, "__call__")
        for cls in [getattr(fastapi.applications, "AsyncExitStackMiddleware", None)]
        if cls is not None
    ),
)


@functools.cache
def unsupported() -> str | None:
    """Return why this FastAPI or pydantic is not understood, None where it is."""
    version = fastapi.__version__
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if not _OLDEST <= numbers <= _NEWEST:
        return f"FastAPI {version} is not among the releases that are understood (0.115 to 0.165)"
    if not pydantic.VERSION.startswith("2."):
        return f"pydantic {pydantic.VERSION} is not understood (2.x is)"
    fields = set(_models.Dependant.__dataclass_fields__)
    if not fields <= _DEPENDANT_FIELDS:
        return f"FastAPI {version} describes dependencies with {sorted(fields - _DEPENDANT_FIELDS)}, which is unknown"
    return None


def replaced() -> str | None:
    """Return which function of FastAPI another package has replaced, None where all are its own."""
    for module, name in _ORIGINALS:
        if not own_function(getattr(module, name, None), name):
            return f"{module.__name__}.{name} was replaced"
    for cls, name in _METHODS:
        if not own_function(getattr(cls, name, None), name):
            return f"{cls.__module__}.{cls.__qualname__}.{name} was replaced"
    used = cast(Any, _routing)
    if used.Request is not Request or used.JSONResponse is not JSONResponse:
        return "fastapi.routing works with other Request or JSONResponse classes"
    return None
