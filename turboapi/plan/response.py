"""From a handler's result to the answer, as the installed FastAPI does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from . import internals
from .facts import Output
from .scope import unwinding
from .source import Source

__all__ = ["Answer", "Encoding", "encoding", "new_response"]

_template: dict[str, Any] = {}


def new_response() -> Response:
    """Return the object that FastAPI hands to parameters annotated with Response."""
    response = Response.__new__(Response)
    if not _template:
        made = Response()
        _template.update({name: value for name, value in vars(made).items() if name not in ("raw_headers", "_headers")})
        _template["status_code"] = None
    vars(response).update(_template)
    response.raw_headers = []
    return response


class Answer:
    """Builds a route's complete response objects; used where bytes alone are not enough."""

    __slots__ = ("_dump", "_output", "_status", "status")

    def __init__(self, output: Output, dump: Callable[[Any], Any]) -> None:
        self._output = output
        self._dump = dump
        self._status = output.status
        self.status = output.status or 200

    def build(self, value: Any, sub: Response | None = None, tasks: Any = None) -> Response:
        """Return the response to a result that is none yet; `sub` carries the handler's own headers and status."""
        arguments: dict[str, Any] = {"background": tasks}
        status = sub.status_code if sub is not None and sub.status_code else self._status
        if status:
            arguments["status_code"] = status
        content = self._dump(value)
        if self._output.dump_json:
            response = Response(content=content, media_type="application/json", **arguments)
        else:
            response = self._output.response_class(content, **arguments)
        if not internals.body_allowed(response.status_code):
            response.body = b""
        if sub is not None:
            response.headers.raw.extend(sub.headers.raw)
        return response

    @property
    def foreign(self) -> bool:
        """Whether making a response runs code of the application's class, which is to find itself in the task."""
        return self._output.response_class.__module__.partition(".")[0] not in ("starlette", "fastapi")

    def whole(self, value: Any, sub: Response | None) -> Response:
        """Return the response to any result."""
        value = self.finish(value, sub, None)
        return value if isinstance(value, Response) else self.build(value)

    def unwinding(self, value: Any, sub: Response | None, tasks: Any, scope: Mapping[str, Any]) -> Response:
        """Return the response to a result while there is something on FastAPI's exit stacks."""
        value = self.finish(value, sub, tasks)
        return unwinding(value if isinstance(value, Response) else self.build(value), scope)

    def finish(self, value: Any, sub: Response | None, tasks: Any) -> Any:
        """Return what the last stage gives: the value itself where neither headers, status nor tasks were added."""
        if isinstance(value, Response):
            if value.background is None:
                value.background = tasks
            return value
        if (sub is None or (not sub.raw_headers and not sub.status_code)) and (tasks is None or not tasks.tasks):
            return value
        return self.build(value, sub, tasks)


class Encoding(NamedTuple):
    """How a plan's result becomes bytes; the fields are those of HotPlan, `answer` builds whole responses."""

    encode: Callable[[Any], Any]
    plain: bool
    status: int
    media: bytes
    answer: Answer


def encoding(output: Output, call: Any, path: str, source: Source) -> Encoding:
    """Return a route's encoding. `path` is "METHOD /path", for error messages."""
    own = internals.own_json(output.response_class)
    dump = _dump(output, call, path, source)
    answer = Answer(output, dump)
    status = output.status or 200
    if not (own or output.dump_json) or not internals.body_allowed(status) or status < 200:
        return Encoding(answer.build, False, status, b"application/json", answer)
    if output.dump_json:
        return Encoding(dump, False, status, b"application/json", answer)
    render = source.bind(JSONResponse(None).render, "render")
    text = source.function("def encode(value):", [f"return {render}({source.bind(dump, 'dump')}(value))"])
    return Encoding(text, output.field is None, status, b"application/json", answer)


def _dump(output: Output, call: Any, path: str, source: Source) -> Callable[[Any], Any]:
    """Return the function from a result to JSON bytes (dump_json) or to what the response class takes."""
    if output.field is None:
        return internals.encode_jsonable
    if output.schema is None:
        return lambda value: internals.serialize(output, value)
    options = {name: value for name, value in output.options.items() if value not in (None, False)}
    options.setdefault("by_alias", False)
    keywords = ", ".join(
        f"{name}={value if isinstance(value, bool) else source.bind(value, name)}" for name, value in options.items()
    )
    if output.dump_json:
        method, keywords = output.adapter.serializer.to_json, keywords
    else:
        method, keywords = output.adapter.serializer.to_python, f'mode="json", {keywords}'

    check = source.bind(output.adapter.validator.validate_python, "check")

    def refuse(value: Any, error: Exception) -> None:
        internals.raise_response_error(output, value, call, path, error)

    return source.function(
        "def dump(value):",
        [
            "try:",
            f"    checked = {check}(value, from_attributes=True)",
            f"except {source.bind(ValidationError, 'ValidationError')} as error:",
            "    failed = error",
            "else:",
            f"    return {source.bind(method, 'write')}(checked, {keywords})",
            # Outside of the clause: FastAPI's error has no context.
            f"{source.bind(refuse, 'refuse')}(value, failed)",
        ],
    )
