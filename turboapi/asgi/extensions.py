"""Which extensions of ASGI an application is told of."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["extensions"]

_HINTS = "http.response.early_hint"
_FILES = "http.response.pathsend"


def extensions(app: Any) -> tuple[str, ...]:
    """Return the names for `scope["extensions"]`.

    `http.response.pathsend` is left out where middleware stands around the application: what reads or changes bodies
    on their way (compression, a checksum) would not see the file's.
    """
    if hasattr(app, "app"):  # by convention what a middleware wraps
        return (_HINTS,)
    starlette = sys.modules.get("starlette.applications")
    if starlette is not None and isinstance(app, starlette.Starlette):
        builder = getattr(app.build_middleware_stack, "__module__", None)  # instrumentation puts its own there
        if app.user_middleware or builder not in ("starlette.applications", "fastapi.applications"):
            return (_HINTS,)
    return (_HINTS, _FILES)
