"""One connection of a test client to its server: a blocking socket that speaks HTTP/1.1, answers read by h11."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h11

__all__ = ["Connection", "Head"]

_CHUNK = 65536
# Whoever puts another class in its place, to keep tests from the network, does not mean this.
_Socket = socket.socket
# An answer's head may be so long, in bytes.
_HEAD_MAX = 1 << 24

Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Head:
    """Status and fields of an answer, fields as the application gave them, without the framing's."""

    status: int
    fields: Fields


class Connection:
    """One request at a time: ask(), then body() to its end. `port` is this end's. Used by one thread at a time."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = _Socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self.sock.connect(address)
        except BaseException:
            self.sock.close()
            raise
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self.sock.getsockname()[1]
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_MAX)

    @property
    def reusable(self) -> bool:
        """Return whether another request can be made, after an answer that was read to its end."""
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    def renewed(self) -> bool:
        """Make ready for the next request; False: the server has closed meanwhile."""
        if select_readable(self.sock):
            return False
        self._h11.start_next_cycle()
        return True

    def close(self) -> None:
        """Close the socket; closing again does nothing."""
        self.sock.close()

    def ask(self, method: bytes, target: bytes, fields: Fields, body: bytes, *, chunked: bool = False) -> Head | None:
        """Send a request and wait for the head of its answer; None: the server closed without one.

        The fields say how the body is framed: with its length, or chunked.
        """
        if chunked:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        self._send(method, target, fields, body)
        while True:
            event = self._next()
            if isinstance(event, h11.Response):
                return Head(event.status_code, _own(event.headers))
            if event is None:
                return None

    def upgrade(self, target: bytes, fields: Fields) -> tuple[Head | None, bytes]:
        """Ask for another protocol; return the answer's head, of status 101 if granted, and what came behind it."""
        self._send(b"GET", target, fields, b"", upgrade=[(b"connection", b"upgrade"), (b"upgrade", b"websocket")])
        while True:
            event = self._next(informational=True)
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    head = Head(101, [(bytes(name), bytes(value)) for name, value in event.headers.raw_items()])
                    return head, self._h11.trailing_data[0]
            elif isinstance(event, h11.Response):
                return Head(event.status_code, _own(event.headers)), b""
            elif event is None:
                return None, b""

    def _send(
        self, method: bytes, target: bytes, fields: Fields, body: bytes, *, upgrade: Fields | None = None
    ) -> None:
        """Write a request. h11 would refuse some, and reorder the fields: it is told only what answers depend on."""
        alike = h11.Request(
            method=b"HEAD" if method == b"HEAD" else b"GET",
            target=b"/",
            headers=[(b"host", b"testserver"), *(upgrade or [])],
        )
        self._h11.send(alike)
        self._h11.send(h11.EndOfMessage())
        lines = [b"%b %b HTTP/1.1\r\n" % (method, target)]
        lines.extend(b"%b: %b\r\n" % field for field in fields)
        self._write(b"".join([*lines, b"\r\n", body]))

    def body(self) -> Iterator[bytes]:
        """Yield the answer's body, chunks as a whole. It ends early where the server closed early; `reusable` tells."""
        parts: list[bytes] = []
        while isinstance(event := self._next(), h11.Data):
            parts.append(bytes(event.data))
            if event.chunk_end or not (event.chunk_start or len(parts) > 1):
                yield b"".join(parts)
                parts.clear()
        if parts:
            yield b"".join(parts)

    def _next(self, *, informational: bool = False) -> h11.Event | None:
        """Return the next event, None when nothing more comes."""
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError:  # the connection ended within a message
                return None
            if event is h11.NEED_DATA:
                try:
                    self._h11.receive_data(self.sock.recv(_CHUNK))
                except ConnectionError:
                    self._h11.receive_data(b"")
            elif isinstance(event, h11.InformationalResponse) and not informational:
                continue
            elif event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return None
            elif isinstance(event, h11.Event):
                return event

    def _write(self, data: bytes) -> None:
        """Send, and take in what comes meanwhile: a server may answer before it has read everything."""
        view = memoryview(data)
        try:
            if len(view) <= _CHUNK // 4:
                self.sock.sendall(view)
                return
            self.sock.setblocking(False)
            poll = select.poll()
            poll.register(self.sock, select.POLLIN | select.POLLOUT)
            while view:
                ready = poll.poll()[0][1]
                if ready & (select.POLLIN | select.POLLHUP | select.POLLERR):
                    came = self.sock.recv(_CHUNK)
                    self._h11.receive_data(came)
                    if not came:
                        return
                elif ready & select.POLLOUT:
                    view = view[self.sock.send(view) :]
        except ConnectionError:
            return  # what there is to read comes next
        finally:
            self.sock.setblocking(True)


def select_readable(sock: socket.socket) -> bool:
    """Return whether something, an end included, can be read at once."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _own(headers: Any) -> Fields:
    return [
        (name, value)
        for name, value in headers.raw_items()
        if (name.lower(), value.lower()) not in ((b"transfer-encoding", b"chunked"), (b"connection", b"close"))
    ]
