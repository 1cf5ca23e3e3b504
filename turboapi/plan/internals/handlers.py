"""What FastAPI's request handler of a route was made with.

The most exact account of a route is not its attributes (changing them after the
route was made changes nothing) but the variables that its request handler closed
over; so that is where the facts come from. A function in its place (an overridden
`get_route_handler`, a Starlette route's endpoint) takes a Request and gives a response.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections import defaultdict
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, Literal, cast

import fastapi.dependencies.models as _models
import fastapi.dependencies.utils as _utils
import fastapi.routing as _routing
import starlette.routing
from fastapi.datastructures import DefaultPlaceholder
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from ..facts import LOCATIONS, Handler, Node, Output
from ..plans import Fallback
from .fields import adapter_of, params_of, schema_of
from .scopes import exit_stacks
from .tools import closure, inner_code, takes

__all__ = ["Fingerprint", "fingerprint", "read_handler"]

Kind = Literal["sync", "async", "yield", "async yield"]
_VARIABLES = frozenset(
    "actual_response_class actual_strict_content_type body_field dependant dependency_overrides_provider "
    "embed_body_fields form_limits is_body_form is_coroutine is_json_stream is_sse_stream response_class "
    "response_field response_model_by_alias response_model_exclude response_model_exclude_defaults "
    "response_model_exclude_none response_model_exclude_unset response_model_include status_code "
    "stream_item_field".split()
)
_LISTS = ("dependencies", "path_params", "query_params", "header_params", "cookie_params", "body_params")


_PARTS = operator.attrgetter("call", "name", "use_cache", *_LISTS)


class Fingerprint:
    """What a handler's facts were read from, by identity: its ASGI application, which nobody writes into, and its tree.

    What is compared is held, so that identities stay what they are.
    """

    __slots__ = ("_asgi", "_limit", "_nodes", "_overrides")

    def __init__(self, asgi: Any, dependant: Any, overrides: Mapping[Any, Any]) -> None:
        self._asgi = asgi
        self._limit = _unwrap_limit(asgi)
        self._nodes: list[tuple[Any, ...]] = []
        overridden = False
        waiting = [] if dependant is None else [dependant]
        while waiting:
            each = waiting.pop()
            overridden = overridden or bool(overrides and each is not dependant and each.call in overrides)
            parts = _PARTS(each)
            lists = parts[3:]
            self._nodes.append((each, parts, lists, [*map(len, lists)], [*itertools.chain.from_iterable(lists)]))
            waiting += each.dependencies
        # What stands in a dependency's place may have dependencies that have others in theirs.
        self._overrides = [*overrides, *overrides.values()] if overridden else None

    def holds(self, asgi: Any, overrides: Mapping[Any, Any]) -> bool:
        """Tell whether the same facts would be read now."""
        if asgi is not self._asgi or _unwrap_limit(asgi) != self._limit:
            return False
        for each, parts, lists, lengths, members in self._nodes:
            if not all(map(operator.is_, _PARTS(each), parts)) or [*map(len, lists)] != lengths:
                return False
            if members and not all(map(operator.is_, itertools.chain.from_iterable(lists), members)):
                return False
        if self._overrides is None:
            return not overrides or not any(parts[0] in overrides for _, parts, _, _, _ in self._nodes[1:])
        now = [*overrides, *overrides.values()]
        return len(now) == len(self._overrides) and all(map(operator.is_, now, self._overrides))


def fingerprint(asgi: Any, app: Any) -> Fingerprint | None:
    """Return what tells a changed handler from an unchanged one, None where it is not understood.

    app: the application, whose overrides count.
    """
    opened = _open(asgi)
    if isinstance(opened, Fallback):
        return None
    variables, _ = opened
    if callable(variables):
        return Fingerprint(asgi, None, {})
    if type(app.dependency_overrides) is not dict:
        return None
    return Fingerprint(asgi, variables["dependant"], app.dependency_overrides)


def read_handler(asgi: Any, app: Any) -> Handler | Fallback:
    """Return the facts of a route's ASGI application."""
    opened = _open(asgi)
    if isinstance(opened, Fallback):
        return opened
    had, limit = opened
    if callable(had):
        return _custom(had, limit)
    if had.get("is_sse_stream") or had.get("is_json_stream") or _kind(had["dependant"]) in ("yield", "async yield"):
        # What becomes of the items stands in FastAPI's handler, so that is what runs.
        return _custom(closure(_unwrap_limit(asgi)[0])["f"], limit)
    provider = had["dependency_overrides_provider"]
    if provider is not None and provider is not app:
        return Fallback("dependency overrides come from another application")
    overrides = provider.dependency_overrides if provider is not None else {}
    dependant = had["dependant"]
    if type(overrides) is not dict and dependant.dependencies:
        return Fallback("dependency_overrides is not a dict")
    kind: Kind = "async" if had["is_coroutine"] else "sync"
    return Handler(
        tree=_node(dependant, overrides if type(overrides) is dict else {}, kind=kind),
        has_body=had["body_field"] is not None,
        form=bool(had["is_body_form"]),
        form_limits=had.get("form_limits"),
        embed=bool(had["embed_body_fields"]),
        output=_output(had),
        max_body=limit,
        # Releases that do not know it take such a body for JSON.
        strict=bool(had.get("actual_strict_content_type", False)),
    )


def _open(asgi: Any) -> tuple[dict[str, Any] | Callable[..., Any], int | None] | Fallback:
    """Return what FastAPI's handler closed over, or the function that takes its place; and the body limit."""
    asgi, limit = _unwrap_limit(asgi)
    own = (inner_code(_routing.request_response, "app"), inner_code(starlette.routing.request_response, "app"))
    if not isinstance(asgi, FunctionType) or asgi.__code__ not in own:
        return Fallback("its ASGI application was replaced or wrapped")
    function = closure(asgi).get("f")
    if not callable(function):
        return Fallback("its ASGI application has no function")
    if not isinstance(function, FunctionType) or function.__code__ is not inner_code(
        _routing.get_request_handler, "app"
    ):
        return function, limit
    had = closure(function)
    if not had.keys() <= _VARIABLES:
        return Fallback(f"request handler with unknown parts: {sorted(had.keys() - _VARIABLES)}")
    return had, limit


def _custom(function: Callable[..., Any], limit: int | None) -> Handler:
    """Return the facts of a function that takes the Request and gives the response."""
    kind: Kind = "async"
    if isinstance(function, functools.partial) and function.func is run_in_threadpool:
        kind, function = "sync", function.args[0]
    nothing: defaultdict[str, Any] = defaultdict(lambda: None, actual_response_class=JSONResponse)
    return Handler(
        tree=_leaf(function, kind),
        has_body=False,
        form=False,
        embed=False,
        output=_output(nothing),
        max_body=limit,
        custom=True,
    )


def _unwrap_limit(asgi: Any) -> tuple[Any, int | None]:
    """Take FastAPI's body limit off an application: (application, limit)."""
    cls = type(asgi)
    if (cls.__module__, cls.__name__) != ("starlette.middleware.body_limit", "RequestBodyLimitMiddleware"):
        return asgi, None
    inner = asgi.app
    return (inner.app if type(inner).__name__ == "_BodyLimitExceptionMiddleware" else inner), asgi.max_body_size


def _output(had: Mapping[str, Any]) -> Output:
    field = had["response_field"]
    dump_json = (
        field is not None
        and "response_class" in had
        and isinstance(had["response_class"], DefaultPlaceholder)
        and takes(_routing.serialize_response, "dump_json")
    )
    names = ("include", "exclude", "by_alias", "exclude_unset", "exclude_defaults", "exclude_none")
    return Output(
        field=field,
        adapter=adapter_of(field),
        schema=schema_of(field),
        options={name: had[f"response_model_{name}"] for name in names},
        status=had["status_code"],
        response_class=had["actual_response_class"],
        dump_json=dump_json,
    )


# ---- dependencies ---------------------------------------------------------------------------------------------


def _node(dependant: Any, overrides: Mapping[Any, Any], *, kind: Kind | None = None, original: Any = None) -> Node:
    """Return a dependant's node. `original`: the dependant whose place it takes, which says how it is cached."""
    original = dependant if original is None else original
    children = tuple(
        _node(_override(child, overrides) if overrides else child, overrides, original=child)
        for child in dependant.dependencies
    )
    return Node(
        call=dependant.call,
        kind=kind or _kind(dependant),
        name=original.name,
        key=_cache_key(original),
        use_cache=original.use_cache,
        params={location: params_of(getattr(dependant, f"{location}_params")) for location in LOCATIONS},
        body=params_of(dependant.body_params),
        children=children,
        request_name=dependant.request_param_name,
        connection_name=dependant.http_connection_param_name,
        websocket_name=dependant.websocket_param_name,
        response_name=dependant.response_param_name,
        tasks_name=dependant.background_tasks_param_name,
        scopes_name=dependant.security_scopes_param_name,
        scopes=tuple(_scopes(dependant)),
        early=getattr(original, "scope", None) == "function" or "fastapi_inner_astack" not in exit_stacks(),
        concurrency=getattr(dependant, "concurrency", None),
    )


def _leaf(call: Callable[..., Any], kind: Kind) -> Node:
    """Return the node of a function that nobody solves anything for: FastAPI, which remembers calls, is not asked."""
    return Node(
        call=call,
        kind=kind,
        name=None,
        key=None,
        use_cache=True,
        params=dict.fromkeys(LOCATIONS, ()),
        body=(),
        children=(),
        request_name=None,
        connection_name=None,
        websocket_name=None,
        response_name=None,
        tasks_name=None,
        scopes_name=None,
        scopes=(),
        early=False,
        concurrency=None,
    )


def _override(child: Any, overrides: Mapping[Any, Any]) -> Any:
    """Return the dependant that FastAPI uses for `child` while there are overrides."""
    arguments: dict[str, Any] = {
        "path": child.path,
        "call": overrides.get(child.call, child.call),
        "name": child.name,
    }
    if takes(_utils.get_dependant, "security_scopes"):
        arguments["security_scopes"] = child.security_scopes
    if takes(_utils.get_dependant, "parent_oauth_scopes"):
        arguments["parent_oauth_scopes"] = _scopes(child)
    for name in ("scope", "concurrency"):
        if takes(_utils.get_dependant, name):
            arguments[name] = getattr(child, name)
    return _utils.get_dependant(**arguments)


def _cache_key(dependant: Any) -> Any:
    if hasattr(_models, "_get_cache_key"):
        return _models._get_cache_key(dependant=dependant)
    return dependant.cache_key


def _scopes(dependant: Any) -> list[str]:
    if hasattr(_models, "_get_oauth_scopes"):
        return list(_models._get_oauth_scopes(dependant=dependant))
    scopes = dependant.oauth_scopes if hasattr(dependant, "oauth_scopes") else dependant.security_scopes
    return list(scopes or [])


def _kind(dependant: Any) -> Kind:
    """Tell how FastAPI calls a dependant: in a thread, by await, or as a context manager."""
    call = dependant.call
    if hasattr(_models, "_is_coroutine_callable"):
        generator, async_generator = _models._is_gen_callable(call), _models._is_async_gen_callable(call)
        coroutine = _models._is_coroutine_callable(call)
    elif hasattr(_models.Dependant, "is_coroutine_callable"):
        generator, async_generator = dependant.is_gen_callable, dependant.is_async_gen_callable
        coroutine = dependant.is_coroutine_callable
    else:
        utils = cast(Any, _utils)
        generator, async_generator = utils.is_gen_callable(call), utils.is_async_gen_callable(call)
        coroutine = utils.is_coroutine_callable(call)
    if generator or async_generator:
        # The newest releases ask for the one first, older ones for the other; nothing is both.
        return "async yield" if async_generator else "yield"
    return "async" if coroutine else "sync"
