"""What call_next gives where the whole response is there, and whether a dispatch function has left it untouched.

Starlette's response object has the body as a generator. As long as nobody has asked for that, the response is as
good as a value, and there is none.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from ..internals import own_function, streaming_class
from .reply import Reply, is_value

__all__ = ["Given", "value_of"]

_streaming: Any = streaming_class()
_BARE = frozenset({204, 205, 304})
# Names of headers as code spells them, and as they are sent.
_NAMES: dict[str, bytes] = {}
_KEPT = 256


def value_of(response: Any) -> Response | None:
    """Return a response as a value, if sending it would run nothing else."""
    if type(response) is not Given:
        return response if is_value(response) else None
    if response._content is not None or response.background is not None or response.info is not None:
        return None
    reply: Response = response._reply
    headers, status = response.raw_headers, response.status_code
    # Without its length, or with a status that has no body, it is sent in pieces, and looks like it.
    if not _is_sized(reply, headers) or status < 200 or status in _BARE:
        return None
    if type(reply) is not Reply:
        reply = Reply(status, headers, bytes(reply.body))
    else:
        reply.status_code = status
        reply.raw_headers = headers
    reply.pieces = bool(reply.body)
    return reply


def _is_sized(reply: Any, headers: Any) -> bool:
    """Tell whether the first of these headers says the length of the body."""
    if not headers:
        return False
    if type(reply) is Reply and headers[0] is reply.length:
        return True
    return bool(headers[0] == (b"content-length", b"%d" % len(reply.body)))


class Edits(MutableHeaders):
    """The headers of a response: they are set in one go over the list."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._list = raw

    def __setitem__(self, key: str, value: str) -> None:
        name = _NAMES.get(key)
        if name is None:
            name = key.lower().encode("latin-1")
            if len(_NAMES) < _KEPT:
                _NAMES[key] = name
        field = name, value.encode("latin-1")
        for each in self._list:
            if each[0] == name:
                # Starlette's own drops all but the first of them.
                super().__setitem__(key, value)
                return
        self._list.append(field)


# Where somebody has put another function there, it is called.
_set_itself = MutableHeaders.__setitem__ if own_function(MutableHeaders.__setitem__) else None


class Given(_streaming):  # type: ignore[misc]
    """Starlette's response object around a response that came as a value."""

    media_type = background = None
    _content: Any = None

    def __init__(self, reply: Any, info: Any) -> None:
        self.info = info
        self.status_code = reply.status_code
        self.raw_headers = reply.raw_headers
        self._reply = reply

    @property
    def body_iterator(self) -> Any:
        """The body, as the generator that Starlette makes of any."""
        if self._content is None:
            self._content = _Whole(self._reply)
        return self._content

    @body_iterator.setter
    def body_iterator(self, content: Any) -> None:
        self._content = content

    @property
    def headers(self) -> Any:
        """The headers, for changing them."""
        if not hasattr(self, "_headers"):
            edits: Any = Edits if MutableHeaders.__setitem__ is _set_itself else MutableHeaders
            self._headers = edits(raw=self.raw_headers)
        return self._headers


# Programs that look at the name of the class see Starlette's.
for _name in ("__module__", "__name__", "__qualname__"):
    setattr(Given, _name, getattr(_streaming, _name))


class _Whole(AsyncGenerator[bytes, None]):
    """The body of a value as a generator."""

    __slots__ = ("_reply", "_taken")

    def __init__(self, reply: Any) -> None:
        self._reply = reply
        self._taken = False

    async def __anext__(self) -> bytes:
        body = bytes(self._reply.body)
        if self._taken or not body:
            self._taken = True
            raise StopAsyncIteration
        self._taken = True
        return body

    async def asend(self, _value: None, /) -> bytes:
        return await self.__anext__()

    async def athrow(self, typ: Any, val: Any = None, _tb: Any = None, /) -> bytes:
        self._taken = True
        raise typ if val is None else val

    async def aclose(self) -> None:
        self._taken = True
