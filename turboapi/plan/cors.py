"""CORSMiddleware as a function of the response's headers.

It is the application's own middleware object that decides, so the headers are
those of the installed Starlette, whatever its release adds.
"""

from __future__ import annotations

from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware

from .internals import drive

__all__ = ["CorsHeaders"]

RawHeaders = list[tuple[bytes, bytes]]


class CorsHeaders:
    """Applies one CORSMiddleware to raw headers. Preflight requests are not its business."""

    __slots__ = ("always", "middleware")

    always: bool
    middleware: CORSMiddleware

    def __init__(self, middleware: CORSMiddleware) -> None:
        self.middleware = middleware
        # Older releases pass requests without Origin by; newer ones add Vary to their answers too.
        self.always = False
        scope = {"type": "http", "method": "GET", "headers": []}
        sent: list[Any] = []

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def send(message: Any) -> None:
            sent.append(message)

        drive(CORSMiddleware.__call__(_with_app(middleware, app), scope, _nothing, send))
        self.always = bool(sent[0]["headers"])

    def __call__(self, origin: str | None, headers: RawHeaders, has_cookie: bool, /) -> RawHeaders:
        """Return the headers that are sent instead of `headers`."""
        if origin is None and not self.always:
            return headers
        request: RawHeaders = []
        if origin is not None:
            request.append((b"origin", origin.encode("latin-1")))
        if has_cookie:
            request.append((b"cookie", b""))
        message: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": list(headers)}
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        drive(self.middleware.send(message, send=send, request_headers=Headers(raw=request)))
        result: RawHeaders = sent[0]["headers"]
        return result


def _with_app(middleware: CORSMiddleware, app: Any) -> CORSMiddleware:
    twin = CORSMiddleware.__new__(CORSMiddleware)
    vars(twin).update(vars(middleware))
    twin.app = app
    return twin


async def _nothing() -> Any:
    raise RuntimeError("turboapi: nothing is received here")
