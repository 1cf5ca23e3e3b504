"""Forms: the limits that hold for a route, and what Starlette's parser would make of a part."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from typing import Any, cast

import fastapi
import starlette.requests as _requests
from fastapi import params
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import FormParser, MultiPartParser

from .. import schema
from ..facts import Param
from .scopes import exit_stacks
from .tools import own_function, takes

__all__ = [
    "files_stack",
    "form_basis",
    "form_data",
    "form_limits",
    "form_watch",
    "may_have_files",
    "reads_files",
    "why_no_form",
]

# What other code sets to change the limits of all forms (releases differ in which of them there are).
_KNOBS = ("spool_max_size", "max_file_size", "max_part_size")
_DEFAULT_LIMIT = 1000


def why_no_form() -> str | None:
    """Return why forms are the application's: something of Starlette's is not its own any more."""
    used = vars(_requests)
    own = used.get("MultiPartParser") is MultiPartParser and used.get("FormParser") is FormParser
    own = own and MultiPartParser.__module__ == FormParser.__module__ == "starlette.formparsers"
    functions = [_requests.Request.form, MultiPartParser.parse, FormParser.parse, MultiPartParser.on_headers_finished]
    if own and all(own_function(each) for each in functions):
        return None
    return "Starlette's form parsers were replaced"


def form_basis() -> tuple[Any, ...]:
    """Return what limits of forms depend on beside the routes."""
    return tuple(getattr(MultiPartParser, name, None) for name in _KNOBS), tempfile.gettempdir()


def form_watch() -> list[tuple[Any, str]]:
    """Return the attributes that change `form_basis`."""
    return [(MultiPartParser, name) for name in _KNOBS if hasattr(MultiPartParser, name)]


def form_limits(inherited: Mapping[str, Any], own: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the limits for the route table. None is no limit; older parsers of urlencoded forms have none."""
    chosen = {**inherited, **(own or {})}
    form = signature(_requests.Request.form).parameters
    limits: dict[str, Any] = {}
    for name, key in (("max_files", "files"), ("max_fields", "fields")):
        limits[key] = _whole(chosen.get(name, form[name].default if name in form else _DEFAULT_LIMIT))
    part = form["max_part_size"].default if "max_part_size" in form else getattr(MultiPartParser, "max_part_size", None)
    limits["part"] = _whole(chosen.get("max_part_size", part))
    limits["url_fields"] = limits["fields"] if takes(FormParser, "max_fields") else None
    limits["url_part"] = limits["part"] if takes(FormParser, "max_part_size") else None
    limits["spool"] = spool_size()
    limits["dir"] = tempfile.gettempdir()
    return limits


def spool_size() -> int:
    """Return how large a file may be that stays in memory."""
    name = "spool_max_size" if hasattr(MultiPartParser, "spool_max_size") else "max_file_size"
    return int(getattr(MultiPartParser, name))


def _whole(limit: Any) -> int | None:
    return None if limit is None or limit == float("inf") else int(limit)


def files_stack() -> str | None:
    """Return the name of the exit stack that closes a form's files.

    None in releases before 0.117, which close them before the answer is sent.
    """
    name = "fastapi_middleware_astack"
    return name if name in exit_stacks() else None


def may_have_files(param: Param) -> bool:
    """Tell whether a form field takes files: an upload, or a model with one."""
    if isinstance(param.field.field_info, params.File):
        return True
    own = fastapi.UploadFile._validate.__func__  # type: ignore[attr-defined]
    functions = (node["function"] for node in schema.nodes(param.schema or {}) if "function" in node)
    return any(getattr(each.get("function"), "__func__", None) is own for each in functions)


def reads_files(param: Param) -> bool:
    """Tell whether FastAPI reads the files of a form field, because it takes bytes."""
    if not isinstance(param.field.field_info, params.File):
        return False
    return param.schema is None or any(node.get("type") == "bytes" for node in schema.nodes(param.schema))


def form_data(parts: Sequence[tuple[Any, ...]]) -> FormData:
    """Return the form that Starlette's parser makes of these parts (`_hot.Exchange.form`).

    Its files are open: who calls this closes them. Descriptors in `parts` stay their owner's.
    """
    items: list[tuple[str, str | UploadFile]] = []
    try:
        for part in parts:
            if len(part) == 2:
                items.append(cast(tuple[str, str], part))
            else:
                items.append((part[0], _upload(*part[1:])))
    except BaseException:
        for file in uploads(items):
            file.close()
        raise
    return FormData(items)


def uploads(items: Sequence[tuple[str, Any]]) -> Iterator[Any]:
    """Yield the files of a form's items, as their own file objects."""
    for _, value in items:
        if isinstance(value, UploadFile):
            yield value.file


def _upload(filename: str, fields: list[tuple[bytes, bytes]], content: bytes | int, size: int) -> UploadFile:
    file: Any = tempfile.SpooledTemporaryFile(max_size=spool_size())  # noqa: SIM115  FormData.close closes it
    try:
        if isinstance(content, bytes):
            file.write(content)
            file.seek(0)
        else:
            # What a roll-over leaves, without making a file: that is work for a disk, and this may be the loop.
            file._file, file._rolled = os.fdopen(os.dup(content), "w+b"), True
            del file._TemporaryFileArgs
        headers = Headers(raw=[(name.lower(), value) for name, value in fields])
        return UploadFile(file=file, size=size, filename=filename, headers=headers)
    except BaseException:
        file.close()
        raise
