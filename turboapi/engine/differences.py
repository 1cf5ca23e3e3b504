"""What is different between two answers to one request, in words for a log line.

What a server adds by itself (Date, Server, framing, connection) is no difference.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Reply", "differences"]

Headers = Sequence[tuple[bytes, bytes]]

_SERVERS = frozenset({b"date", b"server", b"connection", b"keep-alive", b"transfer-encoding"})
# Their values let whoever reads the log in.
_SECRET = frozenset({b"set-cookie", b"authorization"})
_LENGTH = b"content-length"
# So much of a value is shown, and so much is decompressed.
_SHOWN = 60
_INFLATED = 8 << 20


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. headers: names in lower case, in order, with duplicates. body: as the application sent it."""

    status: int
    headers: Headers
    body: bytes


def differences(own: Reply, compiled: Reply, *, head: bool) -> list[str]:
    """Return what differs, a phrase each; empty for equal answers. head: the answers to HEAD, without bodies."""
    found = []
    if own.status != compiled.status:
        found.append(f"status {own.status}, compiled {compiled.status}")
    bare = head or own.status in (204, 304)
    found += _headers(_kept(own.headers), _kept(_framed(own, compiled, bare=bare)))
    if not bare:
        found += _body(own, compiled)
    return found


def _kept(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [pair for pair in headers if pair[0] not in _SERVERS]


def _framed(own: Reply, compiled: Reply, *, bare: bool) -> Headers:
    """Return the compiled answer's headers without a length that only frames it."""
    if any(name == _LENGTH for name, _ in own.headers):
        return compiled.headers
    length = b"%d" % len(compiled.body)
    return [pair for pair in compiled.headers if not (pair[0] == _LENGTH and (bare or pair[1] == length))]


def _headers(own: Headers, compiled: Headers) -> list[str]:
    if own == compiled:
        return []
    found = []
    for name in dict.fromkeys(name for name, _ in (*own, *compiled)):
        left = [value for each, value in own if each == name]
        right = [value for each, value in compiled if each == name]
        if left == right:
            continue
        shown = name.decode("latin-1")
        if name in _SECRET:
            found.append(f"header {shown}: {len(left)} values, compiled {len(right)}, which are not the same")
        else:
            found.append(f"header {shown}: {_values(left)}, compiled {_values(right)}")
    return found or ["the order of the headers"]


def _values(values: Iterable[bytes]) -> str:
    return " and ".join(_clip(value) for value in values) or "none"


def _body(own: Reply, compiled: Reply) -> list[str]:
    left, right = own.body, compiled.body
    if left == right:
        return []
    if (b"content-encoding", b"gzip") in own.headers and (b"content-encoding", b"gzip") in compiled.headers:
        # The time stamp of the compression is none of the application's business.
        left, right = _inflated(left), _inflated(right)
        if left == right:
            return []
    at = next((k for k, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), None)
    if at is None:
        at = min(len(left), len(right))
    sizes = f"{len(left)} and {len(right)} bytes"
    return [f"body at byte {at}: {_clip(left[at:])}, compiled {_clip(right[at:])} ({sizes})"]


def _inflated(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(body, _INFLATED)
    except zlib.error:
        return body


def _clip(value: bytes) -> str:
    return repr(value[:_SHOWN])[1:] + ("..." if len(value) > _SHOWN else "")
