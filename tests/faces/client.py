"""A small exact HTTP/1.1 client: sends bytes as they are, reads strictly, keeps the connection."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Sequence
from typing import Self

from .reply import Reply, bodyless
from .request import Request

STATUS = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [\t\x20-\x7e\x80-\xff]*\Z")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*(.*?)[\t ]*\Z", re.DOTALL)
SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}\Z")
CHUNK = 65536
# Larger requests go out whole: a system call for each piece takes its time.
MOST_IN_PIECES = 20_000


class WireError(Exception):
    """What came back is not HTTP/1.1, or nothing came."""


class Client:
    """One connection at a time to 127.0.0.1:`port`.

    It is opened on first use and again after an answer that closes it. `reopens` allows a server to close a
    connection without having said so.
    """

    def __init__(self, port: int, *, timeout: float = 60.0, reopens: bool = False) -> None:
        self.port = port
        self.timeout = timeout
        self.reopens = reopens
        self._socket: socket.socket | None = None
        self._data = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish, or just close where something else went wrong."""
        if kind is None:
            self.finish()
        else:
            self.drop()

    def address(self) -> tuple[str, int]:
        """The client's own end, as the server sees it."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), self.timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._data = b""
        return self._socket.getsockname()[:2]

    def ask(self, asked: Request, *, pieces: int = 0) -> Reply:
        """Send a request, in parts of `pieces` bytes unless that is 0; return the answer."""
        kept = self._socket is not None
        try:
            return self._exchange(asked, pieces)
        except WireError:
            self.drop()
            if not (self.reopens and kept):
                raise
        return self._exchange(asked, pieces)

    def pipeline(self, asked: Sequence[Request]) -> list[Reply]:
        """Send all requests before the first answer is read.

        Return the answers in order, up to one that closes the connection.
        """
        self.address()
        sender = threading.Thread(target=self._send, args=(b"".join(one.raw() for one in asked), 0))
        sender.start()
        try:
            replies = []
            for one in asked:
                reply, closes = self._read_reply(one)
                replies.append(reply)
                if closes:
                    self._hang_up()
                    break
        finally:
            sender.join()
        if closes:
            self.drop()
        return replies

    def _hang_up(self) -> None:
        """Let a sender not wait for somebody who reads no more."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The other side was faster.

    def _send(self, raw: bytes, pieces: int) -> None:
        try:
            if pieces and len(raw) < MOST_IN_PIECES:
                for at in range(0, len(raw), pieces):
                    self._socket.sendall(raw[at : at + pieces])
            else:
                self._socket.sendall(raw)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass  # It may have answered, and closed, before it read everything; the answer tells.

    def _exchange(self, asked: Request, pieces: int) -> Reply:
        self.address()
        self._send(asked.raw(), pieces)
        reply, closes = self._read_reply(asked)
        if closes:
            self.drop()
        elif self._data:
            stray, self._data = self._data, b""
            self.drop()
            raise WireError(f"bytes after the answer: {stray[:200]!r}")
        return reply

    def _read_reply(self, asked: Request) -> tuple[Reply, bool]:
        informational = []
        while True:
            status, headers = self._read_head()
            if status >= 200:
                break
            informational.append(status)
        fields = dict(headers)
        closes = b"close" in fields.get(b"connection", b"").lower()
        body, aborted = b"", False
        if not bodyless(asked, status):
            body, aborted, to_end = self._read_body(headers)
            closes = closes or aborted or to_end
        elif b"transfer-encoding" in fields and asked.method != b"HEAD":
            raise WireError(f"transfer-encoding in a {status}")
        return Reply(status, headers, body, aborted, False, tuple(informational)), closes

    def _read_head(self) -> tuple[int, tuple[tuple[bytes, bytes], ...]]:
        while b"\r\n\r\n" not in self._data:
            if not self._more():
                raise WireError(f"closed before an answer; so far {self._data[:200]!r}")
        block, self._data = self._data.split(b"\r\n\r\n", 1)
        first, *lines = block.split(b"\r\n")
        status = STATUS.match(first)
        if status is None:
            raise WireError(f"no status line: {first[:200]!r}")
        headers = []
        for line in lines:
            parts = FIELD.match(line)
            if parts is None or b"\r" in line or b"\n" in line or b"\0" in line:
                raise WireError(f"no header: {line[:200]!r}")
            headers.append((parts[1].lower(), parts[2]))
        return int(status[1]), tuple(headers)

    def _read_body(self, headers: tuple[tuple[bytes, bytes], ...]) -> tuple[bytes, bool, bool]:
        """The body, whether it broke off, and whether it ended with the connection."""
        codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
        lengths = [value for name, value in headers if name == b"content-length"]
        if codings:
            if codings != [b"chunked"] or lengths:
                raise WireError(f"framing: {headers!r}")
            return *self._read_chunks(), False
        if lengths:
            if len(set(lengths)) != 1 or not lengths[0].isdigit():
                raise WireError(f"content-length: {lengths!r}")
            wanted = int(lengths[0])
            whole = self._fill(wanted)
            body, self._data = self._data[:wanted], self._data[wanted:]
            return body, not whole, False
        while self._more():
            pass
        body, self._data = self._data, b""
        return body, False, True

    def _read_chunks(self) -> tuple[bytes, bool]:
        body = []
        while True:
            while b"\r\n" not in self._data:
                if not self._more():
                    return b"".join(body), True
            line, self._data = self._data.split(b"\r\n", 1)
            if SIZE.match(line) is None:
                raise WireError(f"chunk size: {line[:80]!r}")
            size = int(line, 16)
            if not self._fill(size + 2):
                return b"".join(body) + self._data[:size], True
            part, end = self._data[:size], self._data[size : size + 2]
            self._data = self._data[size + 2 :]
            if end != b"\r\n":
                raise WireError("a chunk does not end with a line end, or there are trailers")
            if size == 0:
                return b"".join(body), False
            body.append(part)

    def _fill(self, count: int) -> bool:
        parts, have = [self._data], len(self._data)
        while have < count:
            part = self._receive()
            if not part:
                break
            parts.append(part)
            have += len(part)
        self._data = b"".join(parts)
        return have >= count

    def _more(self) -> bool:
        part = self._receive()
        self._data += part
        return bool(part)

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(CHUNK)
        except ConnectionResetError:
            return b""
        except TimeoutError as error:
            raise WireError(f"nothing for {self.timeout} s; so far {self._data[:200]!r}") from error

    def drop(self) -> None:
        """Close the connection at once."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def finish(self) -> None:
        """Close our half, and see that nothing comes that was not asked for before the server closes its own."""
        if self._socket is None:
            return
        try:
            self._socket.shutdown(socket.SHUT_WR)
            stray = self._receive()
        except OSError:
            stray = b""
        finally:
            self.drop()
        if stray:
            raise WireError(f"bytes that nobody asked for: {stray[:200]!r}")
