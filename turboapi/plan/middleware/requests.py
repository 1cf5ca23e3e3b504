"""TrustedHostMiddleware and HTTPSRedirectMiddleware: they look at the request, and answer some by themselves."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from .own import Own
from .reply import Failed, Layer, field

__all__ = ["hosts", "https"]

# Host fields that are known to pass: a pattern lets any number through.
_KEPT = 64


def hosts(middleware: Any, below: Layer, _failed: Failed | None) -> Layer:
    """Return a TrustedHostMiddleware as a layer. A host that has passed once does not run its code again."""
    passed: set[bytes | None] = set()

    async def first(proxy: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        own = Own(middleware, scope, receive, send)
        if not own.passes():
            return await own.answered()
        if len(passed) >= _KEPT:
            passed.clear()
        passed.add(field(scope["headers"], b"host"))
        return await below(proxy, scope, receive, send)

    def layer(proxy: Any, scope: Any, receive: Any, send: Any) -> Any:
        headers = scope["headers"]
        known = type(headers) is list and field(headers, b"host") in passed
        return (below if known else first)(proxy, scope, receive, send)

    return layer


def https(middleware: Any, below: Layer, _failed: Failed | None) -> Layer:
    """Return an HTTPSRedirectMiddleware as a layer."""

    async def other(proxy: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        own = Own(middleware, scope, receive, send)
        if not own.passes():
            return await own.answered()
        return await below(proxy, scope, receive, send)

    def layer(proxy: Any, scope: Any, receive: Any, send: Any) -> Any:
        return (below if scope["scheme"] == "https" else other)(proxy, scope, receive, send)

    return layer
