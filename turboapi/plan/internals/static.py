"""Starlette's StaticFiles, asked for its response on a thread of ours instead of AnyIO's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

from starlette import staticfiles as _static
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles

from .tools import drive, own_function

__all__ = ["file_finder", "whole_file"]

_ATTRIBUTES = frozenset({"directory", "packages", "all_directories", "html", "config_checked", "follow_symlink"})
_ASYNC = ("get_response", "check_config")
_METHODS = (*_ASYNC, "__init__", "__call__", "get_path", "get_directories", "lookup_path", "file_response")


def file_finder(mount: Any) -> Callable[[dict[str, Any]], Response | None] | None:
    """Return the function from a scope, as FastAPI's router has it, to the response of the files mounted there.

    It may block. The scope is its own to change. It gives None where Starlette has to see for itself, and raises
    HTTPException as Starlette does. None instead of a function: it is not Starlette's own StaticFiles.
    """
    files = mount.app
    if type(mount) is not Mount or type(files) is not StaticFiles or not vars(files).keys() <= _ATTRIBUTES:
        return None
    functions = _on_this_thread()
    if functions is None:
        return None
    respond, check = functions
    attributes = len(vars(files))

    def find(scope: dict[str, Any]) -> Response | None:
        if mount.app is not files or len(vars(files)) != attributes:
            return None
        match, found = mount.matches(scope)
        if match is not Match.FULL:
            return None
        scope.update(found)
        try:
            if not files.config_checked:
                drive(check(files))
                files.config_checked = True
            response: Response = drive(respond(files, files.get_path(scope), scope))
        except HTTPException:
            raise
        except Exception:
            return None
        return response

    return find


def whole_file(response: Any, scope: dict[str, Any]) -> bytes | None:
    """Return the one body that a FileResponse sends to this request; None where it does something else."""
    if not _sends_plainly() or type(response) is not FileResponse or response.background is not None:
        return None
    if any(name == b"range" for name, _ in scope["headers"]):
        return None
    if scope["method"] == "HEAD":
        return b""
    size = response.stat_result.st_size if response.stat_result is not None else response.chunk_size
    if size >= response.chunk_size:
        return None
    data = Path(response.path).read_bytes()
    return data if len(data) == size else None


@functools.cache
def _sends_plainly() -> bool:
    names = ("__call__", "_handle_simple") if hasattr(FileResponse, "_handle_simple") else ("__call__",)
    return all(own_function(vars(FileResponse).get(name), name) for name in names)


@functools.cache
def _on_this_thread() -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """Return StaticFiles' coroutine functions, made to do themselves what they give to AnyIO's threads."""
    names = vars(_static)
    own = all(own_function(vars(StaticFiles).get(name), name) for name in _METHODS)
    known = {"FileResponse": FileResponse, "RedirectResponse": RedirectResponse, "HTTPException": HTTPException}
    if not own or any(names.get(name) is not each for name, each in known.items()):
        return None
    replaced = {**names, "anyio": SimpleNamespace(to_thread=SimpleNamespace(run_sync=_call))}
    made = []
    for name in _ASYNC:
        function = vars(StaticFiles)[name]
        if not {"anyio", "to_thread", "run_sync"} <= set(function.__code__.co_names):
            return None
        made.append(FunctionType(function.__code__, replaced, name, function.__defaults__, function.__closure__))
    return made[0], made[1]


async def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)
