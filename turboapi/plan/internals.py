"""All that this package knows of FastAPI's and Starlette's insides.

Their private parts move between releases, so each access asks first whether the
part has the shape it had in the releases we know (0.115 to 0.165). Whatever has
another shape is a Fallback: the application's own ASGI face answers then.

The most exact account of a route is not its attributes (changing them after the
route was made changes nothing) but the variables that its request handler
closed over; so that is where the facts come from.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any, Literal, cast

import fastapi
import fastapi.dependencies.models as _models
import fastapi.dependencies.utils as _utils
import fastapi.routing as _routing
import pydantic
import starlette.routing
from fastapi import _compat, params
from fastapi.datastructures import DefaultPlaceholder
from fastapi.exceptions import RequestValidationError
from starlette.convertors import FloatConvertor, IntegerConvertor, PathConvertor, StringConvertor, UUIDConvertor
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .facts import LOCATIONS, Handler, Location, Node, Output, Param, RouteFacts
from .plans import Fallback

__all__ = [
    "body_to_args",
    "encode_jsonable",
    "params_to_args",
    "probe",
    "raise_request_error",
    "routes",
    "serialize",
    "unsupported",
]

_OLDEST = (0, 115)
_NEWEST = (0, 165)

_HANDLER_VARIABLES = frozenset(
    "actual_response_class actual_strict_content_type body_field dependant dependency_overrides_provider "
    "embed_body_fields form_limits is_body_form is_coroutine is_json_stream is_sse_stream response_class "
    "response_field response_model_by_alias response_model_exclude response_model_exclude_defaults "
    "response_model_exclude_none response_model_exclude_unset response_model_include status_code "
    "stream_item_field".split()
)
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
_CONVERTORS = (StringConvertor, PathConvertor, IntegerConvertor, FloatConvertor, UUIDConvertor)


@functools.cache
def unsupported() -> str | None:
    """Return why this FastAPI, Starlette or pydantic is not understood, None where it is."""
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
        function = getattr(module, name, None)
        if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
            return f"{module.__name__}.{name} was replaced"
        home = function.__module__.partition(".")[0]
        if home not in ("fastapi", "starlette") or function.__name__ != name:
            return f"{module.__name__}.{name} was replaced"
    used = cast(Any, _routing)
    if used.Request is not Request or used.JSONResponse is not JSONResponse:
        return "fastapi.routing works with other Request or JSONResponse classes"
    return None


# ---- routes ---------------------------------------------------------------------------------------------------


def routes(app: Any, lists: list[list[Any]]) -> Iterator[RouteFacts]:
    """Yield the application's HTTP routes in the order in which they are tried.

    The lists that they come from are added to `lists`.
    """
    lists.append(app.router.routes)
    yield from _walk(app.router.routes, app, lists)


def _walk(entries: Sequence[Any], app: Any, lists: list[list[Any]]) -> Iterator[RouteFacts]:
    for route in entries:
        if _is_included(route):
            yield from _walk_included(route, app, lists)
        else:
            facts = _route(route, route, app)
            if facts is not None:
                yield facts


def _is_included(route: Any) -> bool:
    included = getattr(_routing, "_IncludedRouter", None)
    return included is not None and isinstance(route, included)


def _walk_included(included: Any, app: Any, lists: list[list[Any]]) -> Iterator[RouteFacts]:
    router = included.original_router
    lists.append(router.routes)
    own = _routing.APIRouter
    cls = type(router)
    if cls.matches is not own.matches or cls.handle is not own.handle:
        yield _barrier(included, f"router class {cls.__name__} decides for itself")
        return
    for candidate in included.effective_candidates():
        if _is_included(candidate):
            yield from _walk_included(candidate, app, lists)
            continue
        shown = candidate.starlette_route
        original = candidate.original_route
        if isinstance(original, _routing.APIRoute):
            facts = _route(original, candidate, app)
        else:
            facts = _route(shown or original, shown or original, app)
        if facts is not None:
            yield facts


def _route(route: Any, effective: Any, app: Any) -> RouteFacts | None:
    """Facts of one route; `effective` has the path, methods and application that count."""
    cls = type(route)
    if isinstance(route, starlette.routing.WebSocketRoute):
        same = cls.matches in (starlette.routing.WebSocketRoute.matches, _routing.APIWebSocketRoute.matches)
        return None if same else _barrier(route, f"route class {cls.__name__} matches in its own way")
    if isinstance(route, starlette.routing.Mount):
        if (
            cls.matches is not starlette.routing.Mount.matches
            or not route.path
            or route.param_convertors.keys() != {"path"}
        ):
            return _barrier(route, "mount that cannot be told by its path")
        return RouteFacts("mount", route, route.path, None, "", route.name or "", None, "mounted application")
    if not isinstance(route, starlette.routing.Route):
        return _barrier(route, f"{cls.__name__} decides for itself")
    if cls.matches not in (starlette.routing.Route.matches, _routing.APIRoute.matches) or cls.handle not in (
        starlette.routing.Route.handle,
        _routing.APIRoute.handle,
    ):
        return _barrier(route, f"route class {cls.__name__} matches in its own way")
    path = effective.path
    if not _regular_path(path, effective):
        return _barrier(route, "path with a convertor of the application's own")
    methods = tuple(sorted(effective.methods)) if effective.methods else None
    allow = ", ".join(effective.methods) if effective.methods else ""
    name = str(effective.name)
    if not isinstance(route, _routing.APIRoute):
        return RouteFacts("route", route, path, methods, allow, name, None, "not a FastAPI route")
    handler = _handler(effective.app, app)
    if isinstance(handler, Fallback):
        return RouteFacts("api", effective, path, methods, allow, name, None, handler.reason)
    return RouteFacts("api", effective, path, methods, allow, name, handler, "")


def _barrier(route: Any, why: str) -> RouteFacts:
    path = getattr(route, "path", None)
    return RouteFacts(
        "barrier", route, path if isinstance(path, str) else "*", None, "", type(route).__name__, None, why
    )


def _regular_path(path: Any, effective: Any) -> bool:
    """Tell whether the path's own text says what it matches."""
    if not isinstance(path, str) or not path.startswith("/"):
        return False
    if any(type(convertor) not in _CONVERTORS for convertor in effective.param_convertors.values()):
        return False
    return bool(_pattern(path) == effective.path_regex.pattern)


@functools.lru_cache(maxsize=4096)
def _pattern(path: str) -> str:
    return starlette.routing.compile_path(path)[0].pattern


# ---- handlers -------------------------------------------------------------------------------------------------


def _code_of(function: Any, name: str) -> CodeType:
    for const in function.__code__.co_consts:
        if isinstance(const, CodeType) and const.co_name == name:
            return const
    raise LookupError(name)


def _closure(function: Any) -> dict[str, Any]:
    cells = function.__closure__ or ()
    return {name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, cells, strict=True)}


def _unwrap_limit(asgi: Any) -> tuple[Any, int | None]:
    """Take FastAPI's body limit off an application: (application, limit)."""
    if (
        type(asgi).__name__ == "RequestBodyLimitMiddleware"
        and type(asgi).__module__ == "starlette.middleware.body_limit"
    ):
        inner = asgi.app
        if type(inner).__name__ == "_BodyLimitExceptionMiddleware":
            inner = inner.app
        return inner, asgi.max_body_size
    return asgi, None


def _handler(asgi: Any, app: Any) -> Handler | Fallback:
    asgi, limit = _unwrap_limit(asgi)
    if not isinstance(asgi, FunctionType) or asgi.__code__ is not _code_of(_routing.request_response, "app"):
        return Fallback("its ASGI application was replaced or wrapped")
    function = _closure(asgi).get("f")
    if not isinstance(function, FunctionType) or function.__code__ is not _code_of(_routing.get_request_handler, "app"):
        return Fallback("custom route handler")
    had = _closure(function)
    if not had.keys() <= _HANDLER_VARIABLES:
        return Fallback(f"request handler with unknown parts: {sorted(had.keys() - _HANDLER_VARIABLES)}")
    provider = had["dependency_overrides_provider"]
    if provider is not None and provider is not app:
        return Fallback("dependency overrides come from another application")
    overrides = provider.dependency_overrides if provider is not None else {}
    dependant = had["dependant"]
    stream = bool(had.get("is_sse_stream") or had.get("is_json_stream") or _kind(dependant) == "yield")
    tree = _node(dependant, dict(overrides or {}), kind="async" if had["is_coroutine"] else "sync")
    response_class = had["actual_response_class"]
    field = had["response_field"]
    dump_json = (
        field is not None
        and "response_class" in had
        and isinstance(had["response_class"], DefaultPlaceholder)
        and "dump_json" in inspect.signature(_routing.serialize_response).parameters
    )
    options = {
        "include": had["response_model_include"],
        "exclude": had["response_model_exclude"],
        "by_alias": had["response_model_by_alias"],
        "exclude_unset": had["response_model_exclude_unset"],
        "exclude_defaults": had["response_model_exclude_defaults"],
        "exclude_none": had["response_model_exclude_none"],
    }
    output = Output(
        field=field,
        adapter=_adapter(field),
        schema=_schema(field),
        options=options,
        status=had["status_code"],
        response_class=response_class,
        dump_json=dump_json,
    )
    return Handler(
        tree=tree,
        has_body=had["body_field"] is not None,
        form=bool(had["is_body_form"]),
        embed=bool(had["embed_body_fields"]),
        stream=stream,
        output=output,
        max_body=limit,
    )


def _node(
    dependant: Any, overrides: Mapping[Any, Any], *, kind: Literal["sync", "async", "yield"] | None = None
) -> Node:
    children = []
    for child in dependant.dependencies:
        used = _override(child, overrides) if overrides else child
        node = _node(used, overrides)
        children.append(_with_identity(node, child))
    return Node(
        call=dependant.call,
        kind=kind or _kind(dependant),
        name=dependant.name,
        key=None,
        use_cache=True,
        params={location: _params(getattr(dependant, f"{location}_params")) for location in LOCATIONS},
        body=_params(dependant.body_params),
        children=tuple(children),
        request_name=dependant.request_param_name,
        connection_name=dependant.http_connection_param_name,
        websocket_name=dependant.websocket_param_name,
        response_name=dependant.response_param_name,
        tasks_name=dependant.background_tasks_param_name,
        scopes_name=dependant.security_scopes_param_name,
        scopes=tuple(_scopes(dependant)),
        limited=getattr(dependant, "concurrency", None) is not None,
    )


def _with_identity(node: Node, child: Any) -> Node:
    """Give a node what the original dependant says, also where an override took its place."""
    key = _models._get_cache_key(dependant=child) if hasattr(_models, "_get_cache_key") else child.cache_key
    values = {name: getattr(node, name) for name in Node.__slots__}
    return Node(**{**values, "key": key, "use_cache": child.use_cache, "name": child.name})


def _override(child: Any, overrides: Mapping[Any, Any]) -> Any:
    """Return the dependant that FastAPI uses for `child` while there are overrides."""
    accepted = inspect.signature(_utils.get_dependant).parameters
    arguments: dict[str, Any] = {
        "path": child.path,
        "call": overrides.get(child.call, child.call),
        "name": child.name,
    }
    if "security_scopes" in accepted:
        arguments["security_scopes"] = child.security_scopes
    if "parent_oauth_scopes" in accepted:
        arguments["parent_oauth_scopes"] = _scopes(child)
    for name in ("scope", "concurrency"):
        if name in accepted:
            arguments[name] = getattr(child, name)
    return _utils.get_dependant(**arguments)


def _scopes(dependant: Any) -> list[str]:
    if hasattr(_models, "_get_oauth_scopes"):
        return list(_models._get_oauth_scopes(dependant=dependant))
    scopes = dependant.oauth_scopes if hasattr(dependant, "oauth_scopes") else dependant.security_scopes
    return list(scopes or [])


def _kind(dependant: Any) -> Literal["sync", "async", "yield"]:
    call = dependant.call
    if hasattr(_models, "_is_coroutine_callable"):
        generator = _models._is_gen_callable(call) or _models._is_async_gen_callable(call)
        coroutine = _models._is_coroutine_callable(call)
    elif hasattr(_models.Dependant, "is_coroutine_callable"):
        generator = dependant.is_gen_callable or dependant.is_async_gen_callable
        coroutine = dependant.is_coroutine_callable
    else:
        utils = cast(Any, _utils)
        generator = utils.is_gen_callable(call) or utils.is_async_gen_callable(call)
        coroutine = utils.is_coroutine_callable(call)
    return "yield" if generator else "async" if coroutine else "sync"


# ---- fields ---------------------------------------------------------------------------------------------------


def _params(fields: Sequence[Any]) -> tuple[Param, ...]:
    return tuple(
        Param(
            name=field.name,
            field=field,
            adapter=_adapter(field),
            schema=_schema(field),
            factory=getattr(field.field_info, "default_factory", None) is not None,
        )
        for field in fields
    )


def _adapter(field: Any) -> Any:
    return getattr(field, "_type_adapter", None)


def _schema(field: Any) -> Mapping[str, Any] | None:
    schema = getattr(_adapter(field), "core_schema", None)
    return schema if isinstance(schema, dict) else None


def is_form(param: Param) -> bool:
    """Tell whether a body field comes from a form or an upload."""
    return isinstance(param.field.field_info, params.Form)


class _AskedQuery(QueryParams):
    """No query at all, which notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()
        self.many = False

    def get(self, key: Any, default: Any = None) -> Any:
        self.asked.add(key)
        return default

    def getlist(self, key: Any) -> list[Any]:
        self.asked.add(key)
        self.many = True
        return []

    def __contains__(self, key: Any) -> bool:
        self.asked.add(key)
        return False


class _AskedHeaders(Headers):
    """No headers at all, which note what they are asked for."""

    def __init__(self) -> None:
        super().__init__(raw=[])
        self.asked: set[str] = set()
        self.many = False

    get = _AskedQuery.get
    getlist = _AskedQuery.getlist
    __contains__ = _AskedQuery.__contains__


class _AskedDict(dict[str, Any]):
    """Neither path parameters nor cookies; it notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()
        self.many = False

    get = _AskedQuery.get
    __contains__ = _AskedQuery.__contains__


def probe(param: Param, location: Location) -> tuple[set[str], bool, Any] | None:
    """Ask FastAPI under which names it looks for a parameter: (names, all values?, default).

    The default is `...` where a missing parameter is an error, and is otherwise what FastAPI
    makes of a request without it. Runs the field's validator: only for fields without user code.
    None where FastAPI's function does not do what is expected of it.
    """
    received: Any
    if location == "query":
        received = _AskedQuery()
    elif location == "header":
        received = _AskedHeaders()
    else:
        received = _AskedDict()
    try:
        values, errors = _utils.request_params_to_args([param.field], received)
    except Exception:
        return None
    return received.asked, received.many, ... if errors else values.get(param.name, ...)


def params_to_args(fields: Sequence[Any], received: Any) -> tuple[dict[str, Any], list[Any]]:
    """FastAPI's own validation of the parameters of one place: (values, errors)."""
    return _utils.request_params_to_args(fields, received)


def params_know_each_other() -> bool:
    """Tell whether a parameter model depends on the other parameters of its route (some releases)."""
    return "known_param_names" in inspect.signature(_utils.request_params_to_args).parameters


def body_to_args(fields: Sequence[Any], body: Any, embed: bool) -> tuple[dict[str, Any], list[Any]]:
    """FastAPI's own validation of a parsed JSON body: (values, errors)."""
    made = drive(_utils.request_body_to_args(body_fields=list(fields), received_body=body, embed_body_fields=embed))
    return cast(tuple[dict[str, Any], list[Any]], made)


def raise_request_error(errors: list[Any], body: Any, call: Any, path: str) -> None:
    """Raise the RequestValidationError that FastAPI raises for `errors`."""
    if "endpoint_ctx" in inspect.signature(RequestValidationError).parameters:
        context: Any = {**_routing._extract_endpoint_context(call), "path": path}
        raise RequestValidationError(errors, body=body, endpoint_ctx=context)
    raise RequestValidationError(errors, body=body)


# ---- results --------------------------------------------------------------------------------------------------


def encode_jsonable(value: Any) -> Any:
    """What FastAPI makes of a result without a response model, before it becomes text."""
    return cast(Any, _routing).jsonable_encoder(value)


def serialize(output: Output, value: Any) -> Any:
    """FastAPI's own serialisation of a result: JSON bytes with `output.dump_json`, else plain data."""
    arguments: dict[str, Any] = {"field": output.field, "response_content": value, **output.options}
    if output.dump_json:
        arguments["dump_json"] = True
    return drive(_routing.serialize_response(is_coroutine=True, **arguments))


def raise_response_error(output: Output, value: Any, call: Any, path: str, error: Exception) -> None:
    """Raise the ResponseValidationError that FastAPI raises where validation ended in `error`."""
    failed = copy.copy(output.field)
    failed._type_adapter = _Raises(error)
    arguments: dict[str, Any] = {"field": failed, "response_content": value, **output.options}
    if "endpoint_ctx" in inspect.signature(_routing.serialize_response).parameters:
        arguments["endpoint_ctx"] = {**_routing._extract_endpoint_context(call), "path": path}
    drive(_routing.serialize_response(is_coroutine=True, **arguments))


class _Raises:
    """A type adapter whose validation has failed already."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def validate_python(self, *_: Any, **__: Any) -> Any:
        raise self._error


def drive(coroutine: Any) -> Any:
    """Return the result of a coroutine that awaits nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise RuntimeError("turboapi: FastAPI awaited where it was not expected to")


def body_allowed(status: int | None) -> bool:
    """Tell whether FastAPI sends a body with this status."""
    from fastapi.utils import is_body_allowed_for_status_code

    return is_body_allowed_for_status_code(status)


def is_response(value: Any) -> bool:
    """Tell whether a result is a response already."""
    return isinstance(value, Response)


def own_json(response_class: type[Any]) -> bool:
    """Tell whether a response class is Starlette's JSONResponse, untouched."""
    render = JSONResponse.__dict__.get("render")
    return (
        response_class is JSONResponse
        and isinstance(render, FunctionType)
        and render.__module__ == "starlette.responses"
        and JSONResponse.__call__ is Response.__call__
    )


def pydantic_v1(value: Any) -> bool:
    """Tell whether FastAPI works with pydantic 1 for this field."""
    return getattr(_compat, "PYDANTIC_V2", True) is False or _adapter(value) is None


Overrides = Mapping[Callable[..., Any], Callable[..., Any]]
