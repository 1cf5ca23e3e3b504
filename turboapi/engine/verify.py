"""Verify mode: GET and HEAD requests run through both faces of an application, and differences are logged.

The client gets FastAPI's own answer. Then the same request goes to a second server in this process, on a loopback
port of its own, which runs the compiled routes, and the two answers are compared:

    client -> server (ASGI face) -> answer -> client
                                      |-> the same request -> second server (compiled) -> compare -> turboapi.error

So handlers run twice, and so do their side effects. At most `_MOST` requests are held at a time, with at most
`_LARGEST` bytes of each answer; others are answered without being compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from .differences import Reply, differences

__all__ = ["Verify"]

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

# Requests that are recorded or compared at a time, the largest answer (bytes), and the longest either may take (s).
_MOST = 16
_LARGEST = 1 << 20
_LONGEST = 10.0
# Lines that are logged in a second at most; the others are counted.
_LINES = 10
# Header fields of requests that are not repeated.
_NOT_REPEATED = frozenset({b"expect", b"upgrade", b"transfer-encoding"})

_log = logging.getLogger("turboapi.error")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, as it is sent again."""

    method: str
    path: str
    raw: bytes


class _Record:
    """One answer on its way to the client. `reply` is None until it is complete, and where it grew too large."""

    def __init__(self) -> None:
        self.reply: Reply | None = None
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._dropped = False

    def take(self, message: Message) -> None:
        """Note what the application sends."""
        if self._dropped:
            return
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] != "http.response.body":
            self.drop()  # pathsend and others: the bytes are not to be seen here
        elif self._start is not None:  # else the application breaks the protocol, which the server tells it
            body = bytes(message.get("body", b""))
            self._parts.append(body)
            self._size += len(body)
            if self._size > _LARGEST:
                self.drop()
            elif not message.get("more_body", False):
                headers = [(bytes(name).lower(), bytes(value)) for name, value in self._start.get("headers", ())]
                self.reply = Reply(int(self._start["status"]), headers, b"".join(self._parts))

    def drop(self) -> None:
        """Forget the answer: it will not be compared."""
        self._dropped = True
        self._start = None
        self._parts = []


class Verify:
    """The application as the public server runs it. `counts`: requests compared, different, and passed over.

    app: the application. address: where its compiled face is served. root_path: the setting of both servers.
    Loop's thread only.
    """

    def __init__(self, app: App, address: tuple[str, int], root_path: str) -> None:
        self.counts = {"verified": 0, "different": 0, "passed_over": 0}
        self._app = app
        self._address = address
        self._root = root_path.encode()
        self._held = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines: tuple[int, int] = (0, 0)  # (second, lines in it)
        self._untold = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the application's own face; compare afterwards."""
        asked = self._asked(scope) if scope["type"] == "http" else None
        if asked is None:
            await self._app(scope, receive, send)
            return
        if self._held >= _MOST:
            self.counts["passed_over"] += 1
            await self._app(scope, receive, send)
            return
        record = _Record()

        async def tee(message: Message) -> None:
            record.take(message)
            await send(message)

        self._held += 1
        timer = asyncio.get_running_loop().call_later(_LONGEST, record.drop)
        try:
            await self._app(scope, receive, tee)
        finally:
            timer.cancel()
            self._held -= 1
            if record.reply is None:
                self.counts["passed_over"] += 1
            else:
                self._start(asked, record.reply)

    async def close(self) -> None:
        """Cancel what is being compared, and say what was."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        _log.info("Verify: %(verified)d compared, %(different)d different, %(passed_over)d passed over.", self.counts)

    def _asked(self, scope: Any) -> _Asked | None:
        """Return the request, None for one that is not repeated."""
        method = scope["method"]
        if method not in ("GET", "HEAD"):
            return None
        lines = []
        for name, value in scope["headers"]:
            if name in _NOT_REPEATED or (name == b"content-length" and value != b"0"):
                return None
            lines.append(b"%s: %s\r\n" % (name, value))
        target = scope["raw_path"].removeprefix(self._root) or b"/"
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        first = b"%s %s HTTP/%s\r\n" % (method.encode(), target, scope["http_version"].encode())
        return _Asked(method, scope["path"], first + b"".join(lines) + b"\r\n")

    def _start(self, asked: _Asked, own: Reply) -> None:
        self._held += 1
        task = asyncio.get_running_loop().create_task(self._compare(asked, own), name="turboapi-verify")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._held -= 1
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("Verify: a comparison failed.", exc_info=error)

    async def _compare(self, asked: _Asked, own: Reply) -> None:
        try:
            async with asyncio.timeout(_LONGEST):
                compiled = await _ask(self._address, asked)
            found = differences(own, compiled, head=asked.method == "HEAD")
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            found = [f"the compiled face gave no answer ({type(error).__name__}: {error})"]
        if found:
            self.counts["different"] += 1
            self._tell(asked, found)
        self.counts["verified"] += 1  # last: who sees the count finds the log line

    def _tell(self, asked: _Asked, found: list[str]) -> None:
        second = int(time.monotonic())
        lines = self._lines[1] if self._lines[0] == second else 0
        if lines >= _LINES:
            self._untold += 1
            return
        self._lines = (second, lines + 1)
        more, self._untold = self._untold, 0
        _log.warning(
            "Verify: %s %s differs from FastAPI's own answer: %s%s",
            asked.method,
            asked.path,
            "; ".join(found),
            f" (and {more} more that were not logged)" if more else "",
        )


async def _ask(address: tuple[str, int], asked: _Asked) -> Reply:
    """Send a request to the second server and return its answer. Raises OSError, EOFError, ValueError."""
    reader, writer = await asyncio.open_connection(*address, limit=_LARGEST)
    try:
        writer.write(asked.raw)
        status = 100
        headers: list[tuple[bytes, bytes]] = []
        while status < 200:  # early hints, say
            status, headers = _head(await _until(reader, b"\r\n\r\n"))
        body = b"" if asked.method == "HEAD" or status in (204, 304) else await _body(reader, headers)
        return Reply(status, headers, body)
    finally:
        # With a reset, so that no more of an endless answer is made than was read.
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _until(reader: asyncio.StreamReader, end: bytes) -> bytes:
    try:
        return await reader.readuntil(end)
    except asyncio.LimitOverrunError as error:
        raise ValueError("a head or line without end") from error


def _head(raw: bytes) -> tuple[int, list[tuple[bytes, bytes]]]:
    first, *lines = raw[:-4].split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return int(first.split(b" ", 2)[1]), [(name.lower(), value.strip()) for name, _, value in pairs]


async def _body(reader: asyncio.StreamReader, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return the body, cut off where it is larger than any that it is compared with."""
    fields = dict(headers)
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        parts: list[bytes] = []
        while size := int((await _until(reader, b"\r\n")).partition(b";")[0], 16):
            parts.append(await reader.readexactly(min(size, _LARGEST)))
            if sum(map(len, parts)) > _LARGEST or size > _LARGEST:
                break
            await reader.readexactly(2)
        return b"".join(parts)
    if b"content-length" in fields:
        return await reader.readexactly(min(int(fields[b"content-length"]), _LARGEST + 1))
    body = b""
    while len(body) <= _LARGEST and (part := await reader.read(65536)):
        body += part
    return body
