"""A client that checks every answer against its request: random pipelining, random chunking, random leaving."""

from __future__ import annotations

import asyncio
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Checker", "Wrong"]

# Far beyond what any answer takes on a machine that is merely busy.
ANSWER_SECONDS = 60


class Wrong(Exception):
    """An answer that does not belong to its request, or none at all."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, and what must come back: the status, and the body unless that is None."""

    wire: bytes
    status: int
    body: bytes | None = None
    json: Any = None


class Checker:
    """One client, which goes from connection to connection until it is told to stop.

    sent counts requests whose answer was waited for, answered those that were right; they differ by none at the end.
    """

    def __init__(self, port: int, seed: int) -> None:
        self.sent = 0
        self.answered = 0
        self.left = 0
        self._port = port
        self._random = random.Random(seed)
        self._kinds: list[Callable[[], Request]] = [
            *[self._typed] * 4,
            *[self._post] * 4,
            self._stream,
            self._missing,
            self._invalid,
            lambda: _plain("/async", {"message": "hello"}),
            lambda: _plain("/def", {"message": "hello"}),
            lambda: _plain("/yield", {"message": "hello"}),
            lambda: _plain("/sleep", {"message": "slept"}),
            lambda: _plain("/block", {"message": "slept"}),
            lambda: _plain("/dependency", {"x": 5}),
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Talk until `stop` is set. Raises Wrong."""
        while not stop.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                for _ in range(self._random.randint(1, 50)):
                    if stop.is_set() or not await self._talk(reader, writer):
                        break
            finally:
                # Half of the clients close, half of them vanish.
                writer.transport.abort() if self._random.random() < 0.5 else writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Send some requests at once and check their answers; False when the connection is to be left."""
        requests = [self._random.choice(self._kinds)() for _ in range(self._random.choice((1, 1, 1, 2, 3, 8)))]
        wire = b"".join(request.wire for request in requests)
        if self._random.random() < 0.02:
            self.left += 1
            writer.write(wire[: self._random.randint(0, len(wire))])
            return False
        self.sent += len(requests)
        await self._send(writer, wire)
        for request in requests:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    status, body = await _answer(reader)
            except (TimeoutError, asyncio.IncompleteReadError, ConnectionError, ValueError) as error:
                raise Wrong(f"{_head(request)}: no proper answer: {type(error).__name__} {error}") from error
            _compare(request, status, body)
            self.answered += 1
        return True

    async def _send(self, writer: asyncio.StreamWriter, wire: bytes) -> None:
        cuts = sorted(self._random.randint(0, len(wire)) for _ in range(self._random.choice((0, 0, 1, 3))))
        for begin, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
            writer.write(wire[begin:end])
            await writer.drain()
            await asyncio.sleep(0)

    def _token(self, longest: int) -> str:
        return "".join(self._random.choices(string.ascii_letters, k=self._random.randint(1, longest)))

    def _typed(self) -> Request:
        number, token = self._random.randint(-(10**12), 10**12), self._token(40)
        return _plain(f"/items/{number}?q={token}", {"item_id": number, "q": token})

    def _post(self) -> Request:
        # Mostly small; sometimes more than any buffer holds at first.
        size = 30_000 if self._random.random() < 0.02 else 200
        item = {"name": self._token(size), "price": self._random.randint(0, 999) / 4, "tags": [self._token(9)]}
        body = json.dumps(item).encode()
        if self._random.random() < 0.5:
            framed, field = self._chunked(body), b"Transfer-Encoding: chunked"
        else:
            framed, field = body, b"Content-Length: %d" % len(body)
        head = b"POST /items HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\n" + field + b"\r\n\r\n"
        return Request(head + framed, 200, json=item)

    def _chunked(self, body: bytes) -> bytes:
        parts = []
        while body:
            size = self._random.randint(1, max(1, len(body)))
            parts.append(b"%x\r\n%s\r\n" % (size, body[:size]))
            body = body[size:]
        return b"".join(parts) + b"0\r\n\r\n"

    def _stream(self) -> Request:
        chunks = self._random.randint(0, 40)
        body = b"".join(b"%d\n" % number for number in range(chunks))
        return Request(_get(f"/stream?chunks={chunks}"), 200, body)

    def _missing(self) -> Request:
        return Request(_get(f"/nowhere/{self._token(10)}"), 404, json={"detail": "Not Found"})

    def _invalid(self) -> Request:
        return Request(_get(f"/items/{self._token(10)}"), 422)


def _get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: soak\r\n\r\n".encode()


def _plain(target: str, expect: Any) -> Request:
    return Request(_get(target), 200, json=expect)


def _head(request: Request) -> str:
    return request.wire[:80].split(b"\r\n")[0].decode()


def _compare(request: Request, status: int, body: bytes) -> None:
    right = status == request.status
    if right and request.body is not None:
        right = body == request.body
    if right and request.json is not None:
        right = json.loads(body) == request.json
    if not right:
        raise Wrong(f"{_head(request)}: answered {status} with {body[:300]!r}")


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one answer: its status and body. Raises ValueError when it is none."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    version, status, _reason = first.split(b" ", 2)
    if version != b"HTTP/1.1":
        raise ValueError(f"version {version!r}")
    fields = {name.lower(): value.strip() for name, value in (line.split(b":", 1) for line in lines)}
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(size)
            if await reader.readexactly(2) != b"\r\n":
                raise ValueError("a chunk without an end")
        if await reader.readexactly(2) != b"\r\n":
            raise ValueError("trailers, which nobody sent")
        return int(status), body
    return int(status), await reader.readexactly(int(fields[b"content-length"]))
