"""A whole response as a value: what layers give each other while nothing streams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response

__all__ = ["Layer", "RawHeaders", "Reply", "is_value"]

RawHeaders = list[tuple[bytes, bytes]]

# layer(proxy, scope, receive, send): gives the response, or None when it has sent it. In the first case nothing was
# sent, and nothing of it runs any more.
Layer = Callable[[Any, Any, Any, Any], Awaitable[Response | None]]

_send_itself = Response.__call__


class Reply(Response):
    """Status, raw headers and body, as they are."""

    def __init__(self, status: int, headers: RawHeaders, body: bytes) -> None:
        self.status_code = status
        self.raw_headers = headers
        self.body = body
        self.background = None


def is_value(response: Any) -> bool:
    """Tell whether a response is all there: sending it runs no code but Starlette's."""
    return type(response).__call__ is _send_itself and response.background is None
