"""An application that is a fallback as a whole. Needs no knowledge of FastAPI's insides."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any, Literal

from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute

from .plans import CompiledApp, RouteReport, Watch

__all__ = ["next_version", "whole_fallback"]

_versions = itertools.count(1)

_KINDS: tuple[tuple[type[BaseRoute], Literal["http", "websocket", "mount", "host"]], ...] = (
    (Route, "http"),
    (WebSocketRoute, "websocket"),
    (Mount, "mount"),
    (Host, "host"),
)


def next_version() -> int:
    """Return the version of the next table."""
    return next(_versions)


def whole_fallback(app: Any, reason: str, watch: Watch | None = None) -> CompiledApp:
    """Return the application without any plan; `reason` completes "fallback: ..."."""
    version = next_version()
    table = {
        "version": version,
        "cors": False,
        "redirect_slashes": False,
        "root_path": "",
        "not_found": None,
        "routes": [],
        "plans": [],
    }
    return CompiledApp(
        version=version,
        table=json.dumps(table).encode(),
        plans=(),
        report=tuple(_reports(getattr(app, "routes", ()), reason)),
        watch=watch if watch is not None else Watch(),
        notice=f"All routes run as fallback: {reason}.",
    )


def _reports(routes: Iterable[Any], reason: str) -> Iterable[RouteReport]:
    for route in routes:
        methods = getattr(route, "methods", None)
        path = getattr(route, "path", None)
        name = getattr(route, "name", None)
        yield RouteReport(
            path=path if isinstance(path, str) else "*",
            methods=tuple(sorted(methods)) if methods else None,
            name=name if isinstance(name, str) else type(route).__name__,
            outcome=f"fallback: {reason}",
            kind=next((kind for cls, kind in _KINDS if isinstance(route, cls)), "unknown"),
        )
