"""A WebSocket conversation with the engine, with the interface of Starlette's test session.

Frames are made and read by the library `websockets`; the handshake is one of the client's requests.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Callable
from typing import Any, Literal, NoReturn, Self

from anyio.from_thread import BlockingPortal
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from ._httpx import httpx
from .probe import Call
from .running import Running
from .sent import is_token, sent, told
from .servers import Servers
from .wire import Connection, Fields, Head

try:
    from websockets.frames import CloseCode, Frame, Opcode
    from websockets.protocol import OPEN, Protocol, Side
except ImportError as error:  # pragma: no cover (the message is the test)
    raise ImportError(
        "turboapi.testclient: websocket_connect needs the package websockets: pip install websockets",
        name="websockets",
    ) from error

__all__ = ["WebSocketTestSession"]

_CHUNK = 65536
# A test that listens to all loggers hears its application.
_silent = logging.Logger("turboapi.testclient", logging.CRITICAL)
# The application has so long to end by itself after the client's close, in seconds; then it is cancelled.
_GRACE = 0.25
_OURS = {b"connection", b"content-length"} | {
    b"sec-websocket-" + name for name in (b"version", b"key", b"extensions", b"protocol")
}
_HANDSHAKE = {b"upgrade", b"connection", b"sec-websocket-accept", b"sec-websocket-protocol", b"content-length"}


class WebSocketTestSession:
    """What `TestClient.websocket_connect` gives: `with` connects and closes.

    `with` raises WebSocketDisconnect where the application refuses, WebSocketDenialResponse where it answers
    instead, and at its end what left the application.
    """

    def __init__(self, request: httpx.Request, servers: Servers, call: Call) -> None:
        self.accepted_subprotocol: str | None = None
        # Fields that the application added to the handshake's answer, as in its `websocket.accept`.
        self.extra_headers: list[tuple[bytes, bytes]] | None = None
        what = sent(request, b"")
        self._target = what.target
        self._fields = _handshake(what.fields)
        self._servers = servers
        # The application finds the fields of the request, not those of our handshake.
        call.odd = "headers" in what.told
        call.told = told(request)
        self._server: Running
        self._connection: Connection
        self._begin(call)

    def _begin(self, like: Call) -> None:
        """Make ready for a conversation; each `with` of one session is another."""
        self._call = Call(like.scheme, like.server)
        self._call.odd, self._call.told = like.odd, like.told
        # The connection was dropped in the middle of it.
        self._dropped = False
        self._protocol = Protocol(Side.CLIENT, state=OPEN, max_size=None, logger=_silent)
        self._parts: list[bytes] = []
        self._opcode = Opcode.TEXT
        self._closed: dict[str, Any] | None = None
        self._queue: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._begin(self._call)
        self._server = self._servers.acquire()
        try:
            self._connection = Connection(self._server.address)
        except BaseException:
            self._servers.release(self._server)
            raise
        try:
            self._call.context = self._server.context()
            self._server.probe.begin(self._connection.port, self._call)
            head, rest = self._connection.upgrade(self._target, self._fields)
            if head is None or head.status != 101:
                self._refused(head)
            self._accepted(head.fields)
            self._call.accepted = True
            self._take(rest)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.close(1000)
        finally:
            self._call.left = self._cancel_soon
            self._leave()
        if self._call.failure is not None:
            raise self._call.failure

    @property
    def app(self) -> Callable[..., Any]:
        """The application."""
        return self._server.app

    @property
    def scope(self) -> dict[str, Any]:
        """The scope that the application got; empty before it has begun."""
        return self._call.scope

    @property
    def portal(self) -> BlockingPortal:
        """What runs functions on the application's loop."""
        return self._server.portal

    def send(self, message: dict[str, Any]) -> None:
        """Send what an ASGI message says: `websocket.receive` with text or bytes, or `websocket.disconnect`."""
        if message["type"] == "websocket.disconnect":
            self.close(message.get("code", 1000), message.get("reason"))
        elif message.get("text") is not None:
            self.send_text(message["text"])
        else:
            self.send_bytes(message["bytes"])

    def send_text(self, data: str) -> None:
        """Send a text message."""
        self._write(self._protocol.send_text, data.encode())

    def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        self._write(self._protocol.send_binary, data)

    def send_json(self, data: Any, mode: Literal["text", "binary"] = "text") -> None:
        """Send JSON as a message of either kind."""
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        if mode == "text":
            self.send_text(text)
        else:
            self.send_bytes(text.encode())

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close the conversation; closing again does nothing.

        The codes that no close has are those of a close without one (1005) and of a connection that broke (1006).
        """
        if code == CloseCode.NO_STATUS_RCVD:
            self._write(self._protocol.send_close)
        elif code != CloseCode.ABNORMAL_CLOSURE:
            self._write(self._protocol.send_close, code, reason or "")
        elif self._protocol.state is OPEN and not self._dropped:
            self._dropped = True
            self._closed = {"type": "websocket.close", "code": code, "reason": ""}
            self._connection.close()

    def receive(self) -> dict[str, Any]:
        """Return the next message as the application's ASGI message: `websocket.send` or `websocket.close`."""
        while not self._queue:
            if self._closed is not None:
                return self._closed
            try:
                data = self._connection.sock.recv(_CHUNK)
            except ConnectionError:
                data = b""
            self._take(data)
            if not data and self._closed is None:
                code = self._protocol.close_code
                self._closed = {"type": "websocket.close", "code": code or 1006, "reason": ""}
        return self._queue.pop(0)

    def receive_text(self) -> str:
        """Return the next message, which is text. Raises WebSocketDisconnect."""
        text: str = self._receive()["text"]
        return text

    def receive_bytes(self) -> bytes:
        """Return the next message, which is binary. Raises WebSocketDisconnect."""
        data: bytes = self._receive()["bytes"]
        return data

    def receive_json(self, mode: Literal["text", "binary"] = "text") -> Any:
        """Return the next message, which is JSON of that kind. Raises WebSocketDisconnect."""
        message = self._receive()
        return json.loads(message["text"] if mode == "text" else message["bytes"].decode())

    def _receive(self) -> dict[str, Any]:
        message = self.receive()
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(code=message["code"], reason=message["reason"])
        return message

    def _refused(self, head: Head | None) -> NoReturn:
        body = b"".join(self._connection.body()) if head is not None else b""
        self._wait()
        if self._call.failure is not None:
            raise self._call.failure
        message = self._call.refusal
        if message is not None:
            raise WebSocketDisconnect(code=message.get("code", 1000), reason=message.get("reason") or "")
        if head is None:
            raise WebSocketDisconnect(code=1006)
        raise WebSocketDenialResponse(status_code=head.status, headers=head.fields, content=body)

    def _accepted(self, fields: list[tuple[bytes, bytes]]) -> None:
        chosen = [value for name, value in fields if name.lower() == b"sec-websocket-protocol"]
        self.accepted_subprotocol = chosen[0].decode("ascii") if chosen else None
        self.extra_headers = [(name, value) for name, value in fields if name.lower() not in _HANDSHAKE]

    def _write(self, method: Any, *args: Any) -> None:
        if self._protocol.state is not OPEN or self._dropped:
            return  # nobody reads it: one of the two has closed
        method(*args)
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            try:
                if data:
                    self._connection.sock.sendall(data)
            except ConnectionError:
                return  # what there is to read says why

    def _take(self, data: bytes) -> None:
        """Read frames; an empty `data` is the connection's end, but for a handshake that nothing followed."""
        if data:
            self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event)
        self._flush()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            code = self._protocol.close_rcvd.code if self._protocol.close_rcvd is not None else 1005
            reason = self._protocol.close_rcvd.reason if self._protocol.close_rcvd is not None else ""
            self._closed = {"type": "websocket.close", "code": code, "reason": reason}
            return
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
        self._parts.append(bytes(frame.data))
        if frame.fin:
            whole, self._parts = b"".join(self._parts), []
            value = {"text": whole.decode()} if self._opcode is Opcode.TEXT else {"bytes": whole}
            self._queue.append({"type": "websocket.send", **value})

    def _cancel_soon(self) -> None:
        """End an application that talks on though nobody listens, as it would for ever. Loop's thread."""
        self._call.cancelled = True
        self._server.cancel_soon(self._connection.port)

    def _wait(self) -> None:
        if self._call.begun and not self._call.over.wait(_GRACE):
            self._call.cancelled = True
            self._server.cancel(self._connection.port)
            while not self._call.over.wait(_GRACE) and self._server.alive:
                pass

    def _leave(self) -> None:
        try:
            self._wait()
        finally:
            self._connection.close()
            self._server.probe.forget(self._connection.port)
            self._servers.release(self._server)


def _handshake(fields: Fields) -> Fields:
    """Return the fields as they are sent: the handshake is ours, with a key that the engine accepts."""
    given = [(name, value) for name, value in fields if name not in _OURS]
    offered = b", ".join(value for name, value in fields if name == b"sec-websocket-protocol")
    if names := [name for name in map(bytes.strip, offered.split(b",")) if is_token(name)]:
        given.append((b"sec-websocket-protocol", b", ".join(names)))
    key = base64.b64encode(os.urandom(16))
    return [
        *given,
        (b"connection", b"Upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-key", key),
    ]
