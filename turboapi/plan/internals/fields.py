"""FastAPI's fields: what they ask of a request, and its own functions that validate them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import fastapi.dependencies.utils as _utils
import fastapi.routing as _routing
from fastapi import params
from fastapi.exceptions import RequestValidationError
from pydantic_core import SchemaValidator
from starlette.datastructures import Headers, QueryParams

from ..facts import Location, Param
from .tools import drive, takes

__all__ = [
    "adapter_of",
    "body_to_args",
    "is_form",
    "params_know_each_other",
    "params_of",
    "params_to_args",
    "probe",
    "raise_request_error",
    "schema_of",
]


def params_of(fields: Sequence[Any]) -> tuple[Param, ...]:
    """Return the facts of FastAPI's fields."""
    return tuple(
        Param(
            name=field.name,
            field=field,
            adapter=adapter_of(field),
            schema=schema_of(field),
            factory=getattr(field.field_info, "default_factory", None) is not None,
        )
        for field in fields
    )


def adapter_of(field: Any) -> Any:
    """Return a field's pydantic TypeAdapter, None for pydantic 1's fields."""
    return getattr(field, "_type_adapter", None)


def schema_of(field: Any) -> Mapping[str, Any] | None:
    """Return a field's core schema; None where pydantic has not built it, or a plugin watches its validation."""
    adapter = adapter_of(field)
    if type(getattr(adapter, "validator", None)) is not SchemaValidator:
        return None
    return adapter.core_schema if isinstance(adapter.core_schema, dict) else None


def is_form(param: Param) -> bool:
    """Tell whether a body field comes from a form or an upload."""
    return isinstance(param.field.field_info, params.Form)


class _Asked:
    """Mixed into mappings that are empty and note what they are asked for."""

    asked: set[str]
    many: bool

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


class _AskedQuery(_Asked, QueryParams):
    pass


class _AskedHeaders(_Asked, Headers):
    pass


class _AskedDict(_Asked, dict[str, Any]):
    pass


_PLACES: dict[Location, type[Any]] = {
    "path": _AskedDict,
    "query": _AskedQuery,
    "header": _AskedHeaders,
    "cookie": _AskedDict,
}


def probe(param: Param, location: Location) -> tuple[set[str], bool, Any] | None:
    """Ask FastAPI under which names it looks for a parameter: (names, all values?, default).

    The default is `...` where a missing parameter is an error, and is otherwise what FastAPI
    makes of a request without it. Runs the field's validator: only for fields without user code.
    None where FastAPI's function does not do what is expected of it.
    """
    received = _PLACES[location]()
    received.asked = set()
    received.many = False
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
    return takes(_utils.request_params_to_args, "known_param_names")


def body_to_args(fields: Sequence[Any], body: Any, embed: bool) -> tuple[dict[str, Any], list[Any]]:
    """FastAPI's own validation of a parsed JSON body: (values, errors)."""
    made = drive(_utils.request_body_to_args(body_fields=list(fields), received_body=body, embed_body_fields=embed))
    return cast(tuple[dict[str, Any], list[Any]], made)


def raise_request_error(errors: list[Any], body: Any, call: Any, path: str) -> None:
    """Raise the RequestValidationError that FastAPI raises for `errors`. path: "METHOD /path"."""
    if takes(RequestValidationError, "endpoint_ctx"):
        context: Any = {**_routing._extract_endpoint_context(call), "path": path}
        raise RequestValidationError(errors, body=body, endpoint_ctx=context)
    raise RequestValidationError(errors, body=body)
