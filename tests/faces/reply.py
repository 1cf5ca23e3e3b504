"""An answer, and how two answers are compared and shown."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from itertools import zip_longest
from typing import Any

from .request import Request

# The server's own business: its clock, its name, and how it frames and keeps the connection.
SERVERS = {b"date", b"server", b"transfer-encoding", b"connection", b"keep-alive"}
LENGTH = b"content-length"
EXPIRES = re.compile(rb"expires=([^;]+)")
# Seconds between the making of an answer and its comparison, at most.
A_WHILE = 300


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. Header names are in lower case; order and duplicates are as they came.

    `aborted` says that the body broke off; `servers_own` that the application gave no answer and the server
    made one (500).
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    aborted: bool = False
    servers_own: bool = False
    informational: tuple[int, ...] = field(default=())

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.headers if key == wanted), None)


def bodyless(asked: Request, status: int) -> bool:
    """Whether an answer has no body whatever its headers say (RFC 9112, 6.3)."""
    return asked.method == b"HEAD" or status < 200 or status in (204, 304)


def expected_headers(asked: Request, own: Reply) -> list[tuple[bytes, bytes]]:
    """The headers that a server must pass on from the application's own answer.

    A 204 or 304 goes out without a length, a 205 with that of no body (RFC 9110, 15.3.6).
    """
    dropped = SERVERS | ({LENGTH} if own.status in (204, 205, 304) or own.servers_own else set())
    return [pair for pair in own.headers if pair[0] not in dropped]


def served_headers(asked: Request, own: Reply, served: Reply) -> list[tuple[bytes, bytes]]:
    """The headers a server sent, without its own.

    A length that the server added by itself is its framing, as long as it is true; after HEAD, 204 and 304 it
    could not know one.
    """
    kept = [pair for pair in served.headers if pair[0] not in SERVERS]
    stated = any(name == LENGTH for name, _ in expected_headers(asked, own))
    if not stated and not bodyless(asked, served.status):
        kept = [pair for pair in kept if pair != (LENGTH, b"%d" % len(served.body))]
    return kept


def differences(asked: Request, own: Reply, served: Reply, mask: Sequence[bytes] = ()) -> list[str]:
    """Name what is different: "status", "headers", "body", "aborted". `mask` are patterns of moving parts."""
    found = []
    if own.status != served.status:
        found.append("status")
    ours, theirs = expected_headers(asked, own), served_headers(asked, own, served)
    if masked_headers(ours, mask) != masked_headers(theirs, mask):
        found.append("headers")
    body, other = masked(own.body, mask), masked(served.body, mask)
    # Of an answer that breaks off, how much arrives before the connection closes is a matter of luck.
    if not (body.startswith(other) if own.aborted and served.aborted else body == other):
        found.append("body")
    if own.aborted != served.aborted:
        found.append("aborted")
    return found


def masked(value: bytes, mask: Sequence[bytes]) -> bytes:
    for pattern in mask:
        value = re.sub(pattern, b"*", value)
    return value


def masked_headers(headers: list[tuple[bytes, bytes]], mask: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    return [(name, masked(clockless(name, value), mask)) for name, value in headers]


def clockless(name: bytes, value: bytes) -> bytes:
    """A cookie that is deleted expires now, whenever that is: the two answers may lie on both sides of a second."""

    def now(found: re.Match[bytes]) -> bytes:
        try:
            moment = parsedate_to_datetime(found[1].decode("latin-1")).timestamp()
        except ValueError:
            return found[0]
        return b"expires=<now>" if abs(moment - time.time()) < A_WHILE else found[0]

    return EXPIRES.sub(now, value) if name == b"set-cookie" else value


def side_by_side(title: str, rows: list[tuple[str, list[str], list[str]]], *, width: int = 78) -> str:
    """A table of two columns; `!` stands before lines that differ."""
    lines = [f"  {'':<8} {title.split('|')[0].strip():<{width}} | {title.split('|')[1].strip()}"]
    for name, left, right in rows:
        for index, (one, other) in enumerate(zip_longest(left, right)):
            mark = "!" if one != other else " "
            label = name if index == 0 else ""
            lines.append(f"{mark} {label:<8} {shown(one, width):<{width}} | {shown(other, width)}")
    return "\n".join(lines)


def shown(text: str | None, width: int) -> str:
    if text is None:
        return "-"
    return text if len(text) <= width else text[: width - 8] + f"...{len(text):>5}"


def pieces(value: bytes, width: int = 76, most: int = 24) -> list[str]:
    """A body as short lines that can be compared by eye."""
    text = repr(value)[2:-1]
    lines = [text[at : at + width] for at in range(0, len(text), width)] or ["(empty)"]
    return [*lines[:most], f"... {len(value)} bytes"] if len(lines) > most else lines


def explain(asked: Request, own: Reply, served: Reply, name: str) -> str:
    """Both answers to one request, side by side."""

    def headers(pairs: list[tuple[bytes, bytes]]) -> list[str]:
        return [repr(name + b": " + value)[2:-1] for name, value in pairs]

    rows = [
        ("status", [str(own.status)], [str(served.status)]),
        ("headers", headers(expected_headers(asked, own)), headers(served_headers(asked, own, served))),
        ("body", pieces(own.body), pieces(served.body)),
        ("aborted", [str(own.aborted)], [str(served.aborted)]),
    ]
    return f"{show_request(asked)}\n{side_by_side(f'own ASGI face | {name}', rows)}"


def show_request(asked: Request, most: int = 1200) -> str:
    """The request's bytes, readable."""
    raw = asked.raw()
    lines = [repr(line)[2:-1] for line in raw[:most].split(b"\r\n")]
    if len(raw) > most:
        lines.append(f"... {len(raw)} bytes in all")
    return "\n".join(f"> {line}" for line in lines)
