"""A request as the bytes that go over the wire, and short ways to write one down."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Headers = tuple[tuple[bytes, bytes], ...]

# Methods whose requests state a length of 0 when they carry nothing, as browsers and curl do.
WITH_BODY = {b"POST", b"PUT", b"PATCH"}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP/1.1 request, kept as it is sent: nothing in it is normalised.

    `headers` are the sent fields in order, with Host and the framing ones. `body` is what they frame, `chunks`
    the sizes of its chunks when it goes out chunked (empty: Content-Length or no body).
    """

    method: bytes
    target: bytes
    headers: Headers
    body: bytes = b""
    chunks: tuple[int, ...] = field(default=())

    def raw(self) -> bytes:
        """The bytes to send."""
        lines = [b"%s %s HTTP/1.1" % (self.method, self.target)]
        lines += [b"%s: %s" % pair for pair in self.headers]
        return b"\r\n".join(lines) + b"\r\n\r\n" + self._framed()

    def _framed(self) -> bytes:
        if not self.chunks:
            return self.body
        parts, start = [], 0
        for size in self.chunks:
            part = self.body[start : start + size]
            start += size
            if part:
                parts.append(b"%x\r\n%s\r\n" % (len(part), part))
        rest = self.body[start:]
        if rest:
            parts.append(b"%x\r\n%s\r\n" % (len(rest), rest))
        return b"".join(parts) + b"0\r\n\r\n"


def to_bytes(value: str | bytes) -> bytes:
    """Text as latin-1, which is what a header's or target's bytes are; bytes as they are."""
    return value if isinstance(value, bytes) else value.encode("latin-1")


def request(
    method: str | bytes,
    target: str | bytes,
    headers: Mapping[str, str | bytes] | Iterable[tuple[str | bytes, str | bytes]] = (),
    *,
    body: bytes | None = None,
    json: Any = ...,
    chunks: Iterable[int] = (),
) -> Request:
    """Make a request. Host comes first unless given; the framing header comes last unless given.

    `json` is dumped and sent as application/json unless `headers` name a content-type; `body` goes as it is,
    without a content-type of its own.
    """
    method, target = to_bytes(method), to_bytes(target)
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    fields = [(to_bytes(name), to_bytes(value)) for name, value in pairs]
    names = {name.lower() for name, _ in fields}
    if b"host" not in names:
        fields.insert(0, (b"Host", b"faces.test"))
    if json is not ...:
        body = jsonlib.dumps(json).encode()
        if b"content-type" not in names:
            fields.append((b"Content-Type", b"application/json"))
    sizes = tuple(chunks)
    if sizes:
        fields.append((b"Transfer-Encoding", b"chunked"))
    elif b"content-length" not in names and (body is not None or method in WITH_BODY):
        fields.append((b"Content-Length", b"%d" % len(body or b"")))
    return Request(method, target, tuple(fields), body or b"", sizes)


def get(target: str | bytes, headers: Any = (), **more: Any) -> Request:
    return request("GET", target, headers, **more)


def head(target: str | bytes, headers: Any = (), **more: Any) -> Request:
    return request("HEAD", target, headers, **more)


def options(target: str | bytes, headers: Any = (), **more: Any) -> Request:
    return request("OPTIONS", target, headers, **more)


def post(target: str | bytes, headers: Any = (), **more: Any) -> Request:
    return request("POST", target, headers, **more)


def put(target: str | bytes, headers: Any = (), **more: Any) -> Request:
    return request("PUT", target, headers, **more)


def patch(target: str | bytes, headers: Any = (), **more: Any) -> Request:
    return request("PATCH", target, headers, **more)


def delete(target: str | bytes, headers: Any = (), **more: Any) -> Request:
    return request("DELETE", target, headers, **more)
