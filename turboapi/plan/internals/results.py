"""What FastAPI makes of a handler's result."""

from __future__ import annotations

import copy
from types import FunctionType
from typing import Any, cast

import fastapi.routing as _routing
from fastapi.utils import is_body_allowed_for_status_code
from starlette.responses import JSONResponse, Response

from ..facts import Output
from .tools import drive, takes

__all__ = ["body_allowed", "encode_jsonable", "own_json", "raise_response_error", "serialize"]


def encode_jsonable(value: Any) -> Any:
    """What FastAPI makes of a result without a response model, before it becomes text."""
    return cast(Any, _routing).jsonable_encoder(value)


def serialize(output: Output, value: Any) -> Any:
    """FastAPI's own serialisation of a result: JSON bytes with `output.dump_json`, else plain data."""
    return _serialize(output, output.field, value, {})


def raise_response_error(output: Output, value: Any, call: Any, path: str, error: Exception) -> None:
    """Raise the ResponseValidationError that FastAPI raises where the field's validation ended in `error`."""
    failed = copy.copy(output.field)
    failed._type_adapter = _Failed(error)
    more: dict[str, Any] = {}
    if takes(_routing.serialize_response, "endpoint_ctx"):
        more["endpoint_ctx"] = {**_routing._extract_endpoint_context(call), "path": path}
    _serialize(output, failed, value, more)


def _serialize(output: Output, field: Any, value: Any, more: dict[str, Any]) -> Any:
    arguments: dict[str, Any] = {"field": field, "response_content": value, **output.options, **more}
    if output.dump_json:
        arguments["dump_json"] = True
    return drive(_routing.serialize_response(is_coroutine=True, **arguments))


class _Failed:
    """A type adapter whose validation has failed already: nothing is validated twice."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def validate_python(self, *_: Any, **__: Any) -> Any:
        raise self._error


def body_allowed(status: int | None) -> bool:
    """Tell whether FastAPI sends a body with this status."""
    return is_body_allowed_for_status_code(status)


def own_json(response_class: type[Any]) -> bool:
    """Tell whether a response class is Starlette's JSONResponse, untouched."""
    render = JSONResponse.__dict__.get("render")
    return (
        response_class is JSONResponse
        and isinstance(render, FunctionType)
        and render.__module__ == "starlette.responses"
        and JSONResponse.__call__ is Response.__call__
    )
