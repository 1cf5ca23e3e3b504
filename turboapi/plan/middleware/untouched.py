"""What call_next gives where the whole response is there, and whether a dispatch function has left it untouched.

Starlette's response object has the body as a generator. As long as nobody has asked that for anything, the
response is as good as a value.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from starlette.responses import Response

from ..internals import streaming_class
from .reply import Reply, is_value

__all__ = ["Whole", "value_of"]

_streaming = streaming_class()
_BARE = frozenset({204, 205, 304})


def value_of(response: Any) -> Response | None:
    """Return a response as a value, if sending it would run nothing else."""
    if type(response) is not _streaming:
        return response if is_value(response) else None
    content = response.body_iterator
    if type(content) is not Whole or content.taken or response.background is not None or response.info is not None:
        return None
    headers, status = response.raw_headers, response.status_code
    # Without its length, or with a status that has no body, it is sent in pieces, and looks like it.
    if not headers or headers[0] is not content.length or status < 200 or status in _BARE:
        return None
    reply: Response = content.reply
    if type(reply) is not Reply:
        reply = Reply(status, headers, bytes(reply.body))
    else:
        reply.status_code = status
        reply.raw_headers = headers
    reply.pieces = bool(reply.body)
    return reply


class Whole(AsyncGenerator[bytes, None]):
    """The body of a response that came as a value, as the generator that Starlette makes of any."""

    __slots__ = ("length", "reply", "taken")

    def __init__(self, reply: Any) -> None:
        headers = reply.raw_headers
        self.reply = reply
        # The field that says the body's length, where it comes first, and does.
        self.length = headers[0] if (type(reply) is Reply and reply.sized) or _says_length(reply) else None
        self.taken = False

    async def __anext__(self) -> bytes:
        body = bytes(self.reply.body)
        if self.taken or not body:
            self.taken = True
            raise StopAsyncIteration
        self.taken = True
        return body

    async def asend(self, _value: None, /) -> bytes:
        return await self.__anext__()

    async def athrow(self, typ: Any, val: Any = None, _tb: Any = None, /) -> bytes:
        self.taken = True
        raise typ if val is None else val

    async def aclose(self) -> None:
        self.taken = True


def _says_length(reply: Any) -> bool:
    headers = reply.raw_headers
    return bool(headers) and headers[0] == (b"content-length", b"%d" % len(reply.body))
