"""A client that misbehaves on demand: bytes go out as given, answers come back parsed, and it leaves as it is told."""

from __future__ import annotations

import select
import socket
import struct
from dataclasses import dataclass
from typing import Self

from tests.conftest import PATIENCE

__all__ = ["Client", "Reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    def field(self, name: str) -> str | None:
        return next((value for found, value in self.fields if found == name), None)


class Client:
    """One connection to a port of 127.0.0.1, or to the Unix socket of that path."""

    def __init__(self, address: int | str, *, receive_buffer: int | None = None) -> None:
        tcp = isinstance(address, int)
        self.sock = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(PATIENCE)
        try:
            self.sock.connect(("127.0.0.1", address) if tcp else address)
        except BaseException:
            self.sock.close()
            raise
        if tcp:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = bytearray()

    def send(self, data: bytes) -> Self:
        self.sock.sendall(data)
        return self

    def get(self, target: str, *fields: str) -> Self:
        """Send a GET; the connection stays open."""
        return self.send("\r\n".join([f"GET {target} HTTP/1.1", "host: x", *fields, "", ""]).encode("latin-1"))

    def reply(self, *, head: bool = False) -> Reply:
        """Return the next final response; head: it answers a HEAD.

        Raises EOFError where the connection ends first, ValueError for what is no response.
        """
        status = 0
        while status < 200:
            version, _, rest = self._line().partition(" ")
            if version not in ("HTTP/1.1", "HTTP/1.0"):
                raise ValueError(f"no response: {version!r} {rest!r}")
            status = int(rest[:3])
            fields = []
            while line := self._line():
                name, _, value = line.partition(":")
                fields.append((name.lower(), value.strip()))
        found = dict(fields)
        if head or status in (204, 304):
            body = b""
        elif found.get("transfer-encoding") == "chunked":
            body = self._chunks()
        elif "content-length" in found:
            body = self._take(int(found["content-length"]))
        else:
            body = self._end()
        return Reply(status, tuple(fields), body)

    def answered(self) -> bool:
        """Return whether something has come that was not read, or the connection has ended."""
        return bool(self._held) or self._poll()

    def rest(self) -> bytes:
        """Return all that comes until the server closes; b"" where that was a reset, too."""
        try:
            return self._end()
        except ConnectionError:
            return b""

    def finish(self) -> Self:
        """Shut down the sending side: a FIN, and reading goes on."""
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def leave(self, how: str) -> None:
        """Close with a FIN ("fin") or a reset ("rst")."""
        if how == "rst":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()

    def _poll(self) -> bool:
        # Not select.select, which takes no descriptor above 1023.
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def _more(self) -> bool:
        piece = self.sock.recv(65536)
        self._held += piece
        return bool(piece)

    def _take(self, n: int) -> bytes:
        while len(self._held) < n:
            if not self._more():
                raise EOFError(f"the connection ended; unread: {bytes(self._held[:500])!r}")
        found = bytes(memoryview(self._held)[:n])
        del self._held[:n]
        return found

    def _line(self) -> str:
        while (end := self._held.find(b"\r\n")) < 0:
            if not self._more():
                raise EOFError(f"the connection ended; unread: {bytes(self._held[:500])!r}")
        return self._take(end + 2)[:-2].decode("latin-1")

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self._line(), 16):
            parts.append(self._take(size))
            if self._take(2) != b"\r\n":
                raise ValueError("a chunk is longer than it says")
        while self._line():
            pass
        return b"".join(parts)

    def _end(self) -> bytes:
        while self._more():
            pass
        return self._take(len(self._held))
