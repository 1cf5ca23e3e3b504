"""BaseHTTPMiddleware around a layer, without its streams and task groups where nothing streams.

As in Starlette, what is below runs in a task of its own, with a copy of the
context, and is in step with the dispatch function by its messages: it goes on
when a message was taken, and after its last one when the response was sent. Where
all of it ends with a response as a value, there is nothing to be in step with.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

import anyio
from starlette.responses import Response

from ..internals import cached_request, streaming_class, streaming_response
from .reply import Layer, Reply, is_value

__all__ = ["dispatching"]

_streaming = streaming_class()
_eager = {"eager_start": True} if sys.version_info >= (3, 12) else {}
_disconnect = {"type": "http.disconnect"}


def dispatching(middleware: Any, below: Layer) -> Layer:
    """Return a BaseHTTPMiddleware as a layer."""

    async def layer(proxy: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        call = _Call(proxy, scope, receive, send, below)
        try:
            response = await middleware.dispatch_func(call.request, call.call_next)
            child = call.child
            if child is None or child.done():
                value = _value(response)
                if value is not None and (child is None or call.settled):
                    return value
            await response(scope, call.request.wrapped_receive, send)
        except BaseException:
            if call.child is not None and not call.child.done():
                await call.give_up(call.child)
            raise
        await call.sent()
        return None

    return layer


def _spawn(coroutine: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coroutine, loop=asyncio.get_running_loop(), **_eager)


def _value(response: Any) -> Response | None:
    """Return a response as a value, if sending it would run nothing else."""
    if type(response) is not _streaming:
        return response if is_value(response) else None
    content = response.body_iterator
    if type(content) is not _Whole or content.taken or response.background is not None or response.info is not None:
        return None
    headers, status = response.raw_headers, response.status_code
    # Without its length, or with a status that has no body, it is sent in pieces, and looks like it.
    if not headers or headers[0] is not content.length or status < 200 or status in (204, 205, 304):
        return None
    return Reply(status, headers, content.body)


class _Whole(AsyncGenerator[bytes, None]):
    """The body of a response that came as a value, as the generator that Starlette makes of any."""

    __slots__ = ("body", "length", "taken")

    def __init__(self, body: bytes, length: Any) -> None:
        self.body = body
        self.length = length
        self.taken = False

    async def __anext__(self) -> bytes:
        if self.taken or not self.body:
            self.taken = True
            raise StopAsyncIteration
        self.taken = True
        return self.body

    async def asend(self, value: None, /) -> bytes:
        return await self.__anext__()

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None, /) -> bytes:
        self.taken = True
        raise typ if val is None else val

    async def aclose(self) -> None:
        self.taken = True


class _Call:
    """One request in one BaseHTTPMiddleware."""

    __slots__ = (
        "_below",
        "_closed",
        "_expects",
        "_finals",
        "_inbox",
        "_offers",
        "_proxy",
        "_raised",
        "_receive_waits",
        "_scope",
        "_send",
        "_waiter",
        "child",
        "request",
        "settled",
    )

    def __init__(self, proxy: Any, scope: Any, receive: Any, send: Any, below: Layer) -> None:
        self.request = cached_request(scope, receive, send)
        self.child: asyncio.Task[Any] | None = None
        # The child has given all that it will, and it was heard.
        self.settled = False
        self._proxy = proxy
        self._scope = scope
        self._send = send
        self._below = below
        self._expects = False
        self._raised = False
        self._closed = False
        self._inbox: Any = None
        self._offers: deque[tuple[Any, asyncio.Future[None]]] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._finals: list[asyncio.Future[None]] | None = None
        self._receive_waits: list[asyncio.Future[None]] | None = None

    # ---- the dispatch function's side

    async def call_next(self, request: Any) -> Any:
        """Run what is below; return its response when it has started."""
        if self.child is not None:
            await self._again()
        self._expects = True
        child = self.child = _spawn(self._below(self._proxy, self._scope, self._receive, self._hear))
        info = None
        while True:
            message = None if child.done() and self._inbox is None else await self._take(child)
            if message is None:
                break
            if message["type"] == "http.response.debug":
                info = message["info"]
            elif message["type"] == "http.response.early_hint":
                await self._send(message)
            else:
                assert message["type"] == "http.response.start"
                return streaming_response(message["status"], message.get("headers", []), self._stream(child), info)
        reply = self._ended(child)
        headers, body = reply.raw_headers, reply.body
        self.settled = True
        length = headers[0] if headers and headers[0][0] == b"content-length" else None
        if length is not None and length[1] != b"%d" % len(body):
            length = None
        return streaming_response(reply.status_code, headers, _Whole(bytes(body), length), info)

    def _ended(self, child: asyncio.Task[Any]) -> Any:
        """Return the value of a child that has ended without a message. Raises what it raised."""
        if not child.cancelled():
            error = child.exception()
            if error is not None:
                self._raised = True
                self.settled = True
                if not isinstance(error, Exception):
                    raise error
                raise error from error.__cause__ or error.__context__
            reply = child.result()
            if reply is not None:
                return reply
        self.settled = True
        raise RuntimeError("No response returned.")

    async def _again(self) -> None:
        """A second call: everything below runs again, and Starlette fails over its answer."""
        first, second = self.child, _spawn(self._below(self._proxy, self._scope, self._receive, self._hear))
        assert first is not None
        if not first.done() or (not first.cancelled() and first.exception() is None):
            if not second.done():
                await self.give_up(second)
            elif not second.cancelled():
                second.exception()
            raise AssertionError
        await asyncio.wait([second])
        error = None if second.cancelled() else second.exception()
        raise error if error is not None else anyio.ClosedResourceError

    async def _stream(self, child: asyncio.Task[Any]) -> Any:
        while True:
            message = await self._take(child)
            if message is None:
                return
            if message["type"] == "http.response.pathsend":
                yield message
                return
            assert message["type"] == "http.response.body", f"Unexpected message: {message}"
            body = message.get("body", b"")
            if body:
                yield body
            if not message.get("more_body", False):
                return

    async def _take(self, child: asyncio.Task[Any]) -> Any:
        """Return the child's next message, None when none will come."""
        while True:
            if self._inbox is not None:
                message, self._inbox = self._inbox, None
                return message
            while self._offers:
                message, taken = self._offers.popleft()
                if not taken.done():
                    taken.set_result(None)
                    return message
            if child.done() or self._closed:
                return None
            waiter = self._waiter = asyncio.get_running_loop().create_future()
            self._expects = True
            child.add_done_callback(self._wake)
            try:
                await waiter
            finally:
                child.remove_done_callback(self._wake)
                self._waiter = None
                self._expects = False

    def _wake(self, _child: Any = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def sent(self) -> None:
        """The response was sent: the child may end, and is waited for. Raises what nobody has heard yet."""
        child = self.child
        self._closed = True
        for futures in (self._finals, self._receive_waits, [taken for _, taken in self._offers or ()]):
            for future in futures or ():
                if not future.done():
                    future.set_result(None)
        if child is None:
            return
        try:
            while not child.done():
                await asyncio.wait([child])
        except asyncio.CancelledError:
            await self.give_up(child)
            raise
        if not child.cancelled() and not self._raised:
            error = child.exception()
            if error is not None:
                raise error

    async def give_up(self, child: asyncio.Task[Any]) -> None:
        """Cancel a child, as often as it takes."""
        self._closed = True
        while not child.done():
            child.cancel()
            await asyncio.sleep(0)
        if not child.cancelled():
            child.exception()

    # ---- the child's side

    async def _hear(self, message: Any) -> None:
        """The child's send."""
        if self._closed:
            return
        if self._expects and self._inbox is None:
            self._expects = False
            self._inbox = message
            self._wake()
        else:
            taken = asyncio.get_running_loop().create_future()
            if self._offers is None:
                self._offers = deque()
            self._offers.append((message, taken))
            self._wake()
            await taken
            if self._closed:
                return
        if message["type"] == "http.response.pathsend" or (
            message["type"] == "http.response.body" and not message.get("more_body", False)
        ):
            final = asyncio.get_running_loop().create_future()
            self._finals = [*(self._finals or ()), final]
            await final

    async def _receive(self) -> Any:
        """The child's receive: what is left of the request, until the response was sent."""
        if self._closed:
            return dict(_disconnect)
        task = _spawn(self.request.wrapped_receive())
        if not task.done():
            gone = asyncio.get_running_loop().create_future()
            self._receive_waits = [*(self._receive_waits or ()), gone]
            try:
                await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._receive_waits.remove(gone)
                if not task.done():
                    task.cancel()
        if self._closed:
            if task.done() and not task.cancelled():
                task.exception()
            return dict(_disconnect)
        return task.result()
