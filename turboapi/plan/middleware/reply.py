"""A whole response as a value: what layers give each other while nothing streams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response

from ..internals import own_function

__all__ = [
    "Failed",
    "Hears",
    "Layer",
    "RawHeaders",
    "Reply",
    "in_pieces",
    "is_value",
    "send_messages",
    "send_value",
    "sends_plainly",
    "with_headers",
]

RawHeaders = list[tuple[bytes, bytes]]

# layer(proxy, scope, receive, send): gives the response, or None when it has sent it. In the first case nothing was
# sent, and nothing of it runs any more.
Layer = Callable[[Any, Any, Any, Any], Awaitable[Response | None]]

# failed(proxy, exc): what sending the route's response has raised, to raise it again as the route would.
Failed = Callable[[Any, Exception], Awaitable[None]]

# Where somebody has put another function there, each response is called.
_send_itself = Response.__call__ if own_function(Response.__call__) else None


class Reply(Response):
    """Status, raw headers and body, as they are.

    length: its first header, where that is known to say the body's length. pieces: a dispatch middleware has had it in
    its hands, so in Starlette its body and its end are two messages.
    """

    background = None
    pieces = False

    def __init__(self, status: int, headers: RawHeaders, body: bytes, length: Any = None) -> None:
        self.status_code = status
        self.raw_headers = headers
        self.body = body
        self.length = length


class Hears:
    """A send that takes a whole response at once, too, from what goes on after it."""

    __slots__ = ()

    async def __call__(self, message: Any) -> None:
        """Take one ASGI message."""
        raise NotImplementedError

    async def whole(self, reply: Any) -> None:
        """Take a whole response, as if it came in messages. What `reply` has to run afterwards is not looked at."""
        raise NotImplementedError


def sends_plainly(response: Any) -> bool:
    """Tell whether a response is sent by Starlette's code, from its status, headers and body."""
    return type(response).__call__ is _send_itself


def is_value(response: Any) -> bool:
    """Tell whether a response is all there: sending it runs no code but Starlette's."""
    return type(response).__call__ is _send_itself and response.background is None


def in_pieces(value: Response) -> bool:
    """Tell whether a value is one that Starlette would have as several messages of a body."""
    return type(value) is Reply and value.pieces


def with_headers(value: Response, headers: RawHeaders) -> Response:
    """Return a value with other headers. It is the same object where nobody else can know it."""
    if type(value) is not Reply:
        return Reply(value.status_code, headers, bytes(value.body))
    value.raw_headers = headers
    return value


async def send_value(proxy: Any, reply: Any, send: Any) -> None:
    """Send a plain response in one piece, where what takes it can; its background is the caller's."""
    if isinstance(send, Hears):
        await send.whole(reply)
        return
    to: Any = getattr(send, "__self__", None)
    own = to is proxy and not proxy.started
    if not own or not proxy.answer(reply):
        await send_messages(reply, send)


async def send_messages(reply: Any, send: Any) -> None:
    """Send a plain response as Starlette does."""
    await send({"type": "http.response.start", "status": reply.status_code, "headers": reply.raw_headers})
    if in_pieces(reply):
        await send({"type": "http.response.body", "body": reply.body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    else:
        await send({"type": "http.response.body", "body": reply.body})
