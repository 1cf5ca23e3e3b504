"""GZipMiddleware: it leaves whole answers below its minimum as they are, in all releases."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from .own import Own
from .reply import Failed, Layer, in_pieces

__all__ = ["gzip"]


def gzip(middleware: Any, below: Layer, failed: Failed | None) -> Layer:
    """Return a GZipMiddleware as a layer. What it may compress goes through its own code. failed: see `Own.answer`."""

    async def layer(proxy: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        own = Own(middleware, scope, receive, send)
        try:
            value = await below(proxy, scope, receive, own)
            if value is None or (not in_pieces(value) and len(value.body) < middleware.minimum_size):
                return value
            return await own.answer(value, proxy, failed)
        finally:
            own.end()

    return layer
