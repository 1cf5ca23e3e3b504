"""BaseHTTPMiddleware around a layer, without its streams and task groups where nothing streams.

As in Starlette, what is below runs in a task of its own, with a copy of the
context, and is in step with the dispatch function by its messages: it goes on
when a message was taken, and after its last one when the response was sent. Where
all of it ends with a response as a value, there is nothing to be in step with.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import get_running_loop as _running
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from starlette.responses import Response

from ..internals import cached_request, streaming_response
from ..tasks import EAGER, ended, spawn
from .reply import Hears, Layer, send_messages, send_value
from .untouched import Given, value_of

__all__ = ["dispatching", "sheltered"]

_request = cached_request()
_disconnect = {"type": "http.disconnect"}

Escaped = Callable[[Any, Exception], Awaitable[Response | None]]


def dispatching(middleware: Any, below: Layer, escaped: Escaped | None = None) -> Layer:
    """Return a BaseHTTPMiddleware as a layer. escaped: answers what leaves the outermost one."""

    async def layer(proxy: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        call = _Call(proxy, scope, receive, send, below)
        try:
            response = await middleware.dispatch_func(call.request, call.call_next)
            value = value_of(response) if call.child is None or call.settled or call.held else None
            if value is None:
                await response(scope, call.request.wrapped_receive, send)
            elif call.held:
                await send_value(proxy, value, send)
            else:
                return value
            await call.sent()
        except BaseException as exc:
            if call.child is not None:
                await call.give_up()
            if escaped is None or not isinstance(exc, Exception):
                raise
            return await escaped(proxy, exc)
        return None

    return layer


def sheltered(below: Layer) -> Layer:
    """Return a layer under a dispatching one whose code is cancelled by AnyIO's rules.

    AnyIO, which Starlette has cancel it, waits for threads, and knows of scopes that are shielded.
    """

    async def layer(proxy: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        with anyio.CancelScope() as cancelled:
            send.cancelled_by(cancelled.cancel)
            return await below(proxy, scope, receive, send)
        return None

    return layer


class _Call(Hears):
    """One request in one BaseHTTPMiddleware. Called, it is the child's send."""

    # What the child has sent, and nobody taken: one message that is waited for, others that wait themselves.
    _inbox: Any = None
    _offers: deque[tuple[Any, asyncio.Future[None]]] | None = None
    _waiter: asyncio.Future[None] | None = None
    # Futures of children that have sent all, and of those that receive, until the response was sent.
    _finals: list[asyncio.Future[None]] | None = None
    _receives: list[asyncio.Future[None]] | None = None
    _expects = False
    # Nothing was sent yet.
    _fresh = True
    _raised = False
    _closed = False
    child: asyncio.Task[Any] | None = None
    _second: asyncio.Task[Any] | None = None
    # The child has ended, with a value or an exception that was heard.
    settled = False
    # The child has given a whole response, and waits until that was sent.
    held = False
    # What cancels a child whose calls on threads are waited for first, by its task.
    _cancels: dict[asyncio.Task[Any], Callable[[], None]] | None = None

    def __init__(self, proxy: Any, scope: Any, receive: Any, send: Any, below: Layer) -> None:
        self.request = _request(scope, receive, send)
        self._proxy = proxy
        self._scope = scope
        self._send = send
        self._below = below

    # ---- the dispatch function's side

    async def call_next(self, request: Any) -> Any:  # noqa: ARG002  the middleware's own counts, as in Starlette
        """Run what is below; return its response when it has started."""
        if self.child is not None:
            await self._again()
        child = self.child = spawn(self._below(self._proxy, self._scope, self._receive, self))
        if not EAGER:
            await asyncio.sleep(0)
        info = None
        while not self._fresh or not child.done():
            message = await self._take(child)
            if message is None:
                break
            if isinstance(message, Response):
                return Given(message, info)
            if message["type"] == "http.response.debug":
                info = message["info"]
            elif message["type"] == "http.response.early_hint":
                await self._send(message)
            else:
                assert message["type"] == "http.response.start"
                return streaming_response(message["status"], message.get("headers", []), self._stream(child), info)
        reply = self._ended(child)
        self.settled = True
        return Given(reply, info)

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
        """A second call: everything below runs again, and Starlette fails over what it hears then."""
        first = self.child
        assert first is not None
        second = self._second = spawn(self._below(self._proxy, self._scope, self._receive, self))
        if not first.done() or (not first.cancelled() and first.exception() is None):
            # It hears the first one's body.
            await asyncio.sleep(0)
            if not first.done() and not self.held:
                await self._take(first)
            raise AssertionError
        await ended(second)
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
            waiter = self._waiter = _running().create_future()
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
        for futures in (self._finals, self._receives, [taken for _, taken in self._offers or ()]):
            for future in futures or ():
                if not future.done():
                    future.set_result(None)
        if child is None:
            return
        try:
            while not child.done():
                await ended(child)
        except asyncio.CancelledError:
            await self.give_up()
            raise
        if not child.cancelled() and not self._raised:
            error = child.exception()
            if error is not None:
                raise error

    async def give_up(self) -> None:
        """Cancel what runs below, as often as it takes."""
        for child in (self.child, self._second):
            cancel = self._cancels.get(child) if self._cancels and child is not None else None
            if cancel is not None:
                cancel()
            while child is not None and not child.done():
                # As AnyIO does it: what is about to be woken runs on until it waits again.
                waits_for: Any = getattr(child, "_fut_waiter", None)
                if cancel is None and (waits_for is None or not waits_for.done()):
                    child.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await (asyncio.sleep(0) if cancel is None else ended(child))
            if child is not None and not child.cancelled():
                child.exception()

    # ---- the child's side

    def cancelled_by(self, cancel: Callable[[], None]) -> None:
        """Have `cancel` called where the current child would be cancelled."""
        child = asyncio.current_task()
        assert child is not None
        self._cancels = {**(self._cancels or {}), child: cancel}

    async def whole(self, reply: Any) -> None:
        """Take a whole response; go on when it was sent."""
        if self._closed:
            return
        if not self._fresh:
            # Something was sent before: it is out of turn, and so are its messages.
            await send_messages(reply, self)
            return
        self._fresh = self._expects = False
        self._inbox = reply
        self.held = True
        self._wake()
        await self._until_sent()

    async def __call__(self, message: Any) -> None:
        if self._closed:
            return
        self._fresh = False
        if self._expects and self._inbox is None:
            self._expects = False
            self._inbox = message
            self._wake()
        else:
            taken = _running().create_future()
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
            await self._until_sent()

    async def _until_sent(self) -> None:
        final = _running().create_future()
        self._finals = [*(self._finals or ()), final]
        await final

    async def _receive(self) -> Any:
        """The child's receive: what is left of the request, until the response was sent."""
        if self._closed:
            return dict(_disconnect)
        task = spawn(self.request.wrapped_receive())
        if not task.done():
            gone = _running().create_future()
            self._receives = [*(self._receives or ()), gone]
            try:
                await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._receives.remove(gone)
                if not task.done():
                    task.cancel()
        if self._closed:
            if task.done() and not task.cancelled():
                task.exception()
            return dict(_disconnect)
        return task.result()
