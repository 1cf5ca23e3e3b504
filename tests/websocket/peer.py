"""The client of these tests: a socket that speaks frames as it is told, right ones and wrong ones."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

from websockets.frames import Close, Opcode
from websockets.utils import apply_mask

from tests.conftest import PATIENCE

__all__ = ["KEY", "Peer", "close", "frame", "handshake", "opened"]

_MASK = b"\x01\x02\xfa\x00"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_KINDS = {"text": Opcode.TEXT, "bytes": Opcode.BINARY, "more": Opcode.CONT, "ping": Opcode.PING, "pong": Opcode.PONG}


def frame(kind: str, data: bytes | str = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """Return a masked frame: text, bytes, more (a continuation), ping, pong or close. rsv: 4 is RSV1."""
    payload = data.encode() if isinstance(data, str) else data
    first = (0x80 if fin else 0) | rsv << 4 | (Opcode.CLOSE if kind == "close" else _KINDS[kind])
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    return head + _MASK + apply_mask(payload, _MASK)


def close(code: int | None = 1000, reason: str = "") -> bytes:
    """Return a Close frame; None is one without a code."""
    return frame("close", b"" if code is None else struct.pack("!H", code) + reason.encode())


def handshake(target: str = "/", **fields: str | None) -> bytes:
    """Return an upgrade request. A keyword changes a field, None leaves it out: sec_websocket_key="x"."""
    head = {
        "host": "x",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
    }
    for name, value in fields.items():
        head[name.replace("_", "-")] = value  # type: ignore[assignment]
    lines = [f"{name}: {value}\r\n" for name, value in head.items() if value is not None]
    return f"GET {target} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1")


class Peer:
    """One connection. What was received is kept until it is asked for."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._got = b""

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def head(self) -> tuple[int, dict[str, str]]:
        """Read the head of a response: status and fields."""
        while b"\r\n\r\n" not in self._got:
            self._more()
        head, _, self._got = self._got.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        pairs = [field.split(": ", 1) for field in fields]
        return int(line.split()[1]), {name.lower(): value for name, value in pairs}

    def upgrade(self, target: str = "/", **fields: str | None) -> dict[str, str]:
        """Shake hands, and return the fields of the answer."""
        self.send(handshake(target, **fields))
        status, answer = self.head()
        assert status == 101, (status, answer, self.rest())
        return answer

    def frame(self) -> tuple[str, Any]:
        """Read a frame: (kind, payload), ("close", (code, reason)), or ("end", None) where none comes."""
        try:
            first, second = self._take(2)
            length = second & 127
            if length > 125:
                length = int.from_bytes(self._take(2 if length == 126 else 8), "big")
            payload = self._take(length)
        except (EOFError, ConnectionResetError):
            return "end", None
        assert first & 0x80, "the server fragments nothing"
        assert not second & 0x80, "the server masks nothing"
        opcode = Opcode(first & 15)
        if opcode is Opcode.CLOSE:
            told = Close.parse(payload) if payload else None
            return "close", (told.code, told.reason) if told else (1005, "")
        kind = next(kind for kind, known in _KINDS.items() if known is opcode)
        return kind, payload.decode() if kind == "text" else payload

    def frames(self) -> list[tuple[str, Any]]:
        """Read all frames to the end of the connection."""
        found = [self.frame()]
        while found[-1][0] != "end":
            found.append(self.frame())
        return found[:-1]

    def rest(self) -> bytes:
        """Read all bytes to the end of the connection."""
        with contextlib.suppress(EOFError, ConnectionResetError):
            while True:
                self._more()
        found, self._got = self._got, b""
        return found

    def reset(self) -> None:
        """Leave without a word: the server sees a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _take(self, n: int) -> bytes:
        while len(self._got) < n:
            self._more()
        found, self._got = self._got[:n], self._got[n:]
        return found

    def _more(self) -> None:
        part = self.socket.recv(1 << 16)
        if not part:
            raise EOFError
        self._got += part


@contextlib.contextmanager
def opened(port: int, target: str | None = None, **fields: str | None) -> Iterator[Peer]:
    """Connect, and with a target shake hands."""
    peer = Peer(port)
    with contextlib.closing(peer.socket):
        if target is not None:
            peer.upgrade(target, **fields)
        yield peer
