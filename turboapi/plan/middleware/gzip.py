"""GZipMiddleware: it leaves whole answers below its minimum as they are, in all releases."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from .line import Passing, Step
from .reply import in_pieces

__all__ = ["gzip"]


def gzip(middleware: Any) -> Step:
    """Return a GZipMiddleware as a step. What it may compress goes through its own code."""

    def after(_passing: Passing, value: Response) -> Response | None:
        return value if len(value.body) < middleware.minimum_size and not in_pieces(value) else None

    return Step(middleware, after=after)
