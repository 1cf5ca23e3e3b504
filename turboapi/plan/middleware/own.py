"""The own code of Starlette's middleware, between a layer's answer and what becomes of it.

It runs as ever, on a copy of the middleware whose application is a stub: its
coroutine stands still where it calls that, and the `send` that it gave hears the
answer's messages, those of a value as well. So the answer is what the installed
release makes of it.
"""

from __future__ import annotations

import types
from collections.abc import Generator
from typing import Any

from starlette.responses import Response

from ..internals import with_application
from .reply import Failed, RawHeaders, Reply, send_messages

__all__ = ["Own"]

_WHOLE = {"type", "status", "headers"}


class Own:
    """One request in one middleware; itself the `send` of what is below. `end` it in any case."""

    __slots__ = ("_coroutine", "_held", "_middleware", "_receive", "_send", "_through", "headers", "scope", "seen")

    def __init__(self, middleware: Any, scope: Any, receive: Any, send: Any, headers: RawHeaders) -> None:
        """Do nothing yet. headers: those of the request as it came to the middleware."""
        self.headers = headers
        self.scope = self.seen = scope
        self._middleware = middleware
        self._receive = receive
        self._send = send
        self._coroutine: Any = None
        self._through: Any = None
        self._held: list[Any] | None = None

    def begin(self) -> bool:
        """Run up to the call of the application. False: the middleware answers by itself, see `answered`."""
        self._held = []
        coroutine = with_application(self._middleware, self._application)(self.seen, self._receive, self._hear)
        try:
            coroutine.send(None)
        except StopIteration:
            return False
        self._coroutine = coroutine
        if self._through is None:
            raise RuntimeError(f"turboapi: {type(self._middleware).__name__} awaited where it was not expected to")
        self._held = None
        return True

    def passes(self) -> bool:
        """Begin, and end at once: the middleware has nothing to do with an answer that is not its own."""
        try:
            return self.begin()
        finally:
            self.end()

    async def __call__(self, message: Any) -> None:
        """Hear a message of what is below."""
        if self._through is None:
            self.late()
        await self._through(message)

    def late(self) -> None:
        """Begin now, with the request as it was."""
        self.seen = {**self.scope, "headers": self.headers}
        if not self.begin():
            raise RuntimeError(f"turboapi: {type(self._middleware).__name__} answered where it was not expected to")

    async def answer(self, value: Response, proxy: Any, failed: Failed | None) -> Response | None:
        """Return what becomes of a value: another one, or None where it had to be sent.

        failed: answers an exception of the own code, where the route would hear of it. Otherwise it is raised.
        """
        if self._through is None:
            self.late()
        held = self._held = []
        try:
            await send_messages(value, self)
        except BaseException as exc:
            for message in held:
                await self._send(message)
            if failed is not None and isinstance(exc, Exception):
                await failed(proxy, exc)
            raise
        return await self.answered()

    async def answered(self) -> Response | None:
        """Return what the middleware has sent."""
        held, self._held = self._held or [], None
        if len(held) in (2, 3) and held[0].keys() == _WHOLE:
            start, body, *end = held
            reply = Reply(start["status"], start["headers"], bytes(body["body"]))
            if not end and not body.get("more_body", False):
                return reply
            # In pieces, but with its length: nobody outside of the middleware can see that.
            length = b"content-length", b"%d" % len(reply.body)
            if end and not end[0]["body"] and not end[0]["more_body"] and length in start["headers"]:
                reply.pieces = True
                return reply
        for message in held:
            await self._send(message)
        return None

    def end(self) -> None:
        """Let go of what stands still, which refers to this object."""
        if self._coroutine is not None:
            self._coroutine.close()
            self._coroutine = self._through = None

    async def _application(self, _scope: Any, _receive: Any, send: Any) -> None:
        self._through = send
        await _standstill()

    async def _hear(self, message: Any) -> None:
        if self._held is None:
            await self._send(message)
        else:
            self._held.append(message)


@types.coroutine
def _standstill() -> Generator[None, None, None]:
    yield
