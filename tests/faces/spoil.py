"""Requests that are known to mean something, each with one thing changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from .generate import Requests, bounded
from .odd import METHODS, ODD_ENCODED, ODD_JSON
from .request import Headers, Request

Parts = tuple[str, bytes, Headers, bytes | None]

PIECES = [*ODD_ENCODED, "1", "x", "true", "0" * 30, "/", "//", "?", "a=1"]


def spoiled(seeds: Sequence[Request]) -> Requests:
    """One of `seeds`, changed."""

    def change(drawn: tuple[Request, Callable[..., Parts], int, str]) -> Request:
        seed, spoil, where, piece = drawn
        return bounded(*spoil(seed, where, piece.encode()))

    return st.tuples(
        st.sampled_from(seeds), st.sampled_from(CHANGES), st.integers(0, 400), st.sampled_from(PIECES)
    ).map(change)


def parts(seed: Request) -> Parts:
    """Method, target, headers and body; the framing is made again."""
    framing = (b"content-length", b"transfer-encoding")
    fields = tuple(pair for pair in seed.headers if pair[0].lower() not in framing)
    return seed.method.decode(), seed.target, fields, seed.body or None


def insert_in_target(seed: Request, where: int, piece: bytes) -> Parts:
    method, target, fields, body = parts(seed)
    at = 1 + where % len(target)
    return method, target[:at] + piece + target[at:], fields, body


def cut_target(seed: Request, where: int, piece: bytes) -> Parts:
    method, target, fields, body = parts(seed)
    return method, target[: 1 + where % len(target)], fields, body


def add_to_query(seed: Request, where: int, piece: bytes) -> Parts:
    """Give the last parameter a second time, with another value."""
    method, target, fields, body = parts(seed)
    _, mark, query = target.rpartition(b"?")
    name = query.rpartition(b"&")[2].partition(b"=")[0] if mark else b"q"
    return method, target + (b"&" if mark else b"?") + name + b"=" + piece, fields, body


def other_method(seed: Request, where: int, piece: bytes) -> Parts:
    return METHODS[where % len(METHODS)], *parts(seed)[1:]


def spoil_body(seed: Request, where: int, piece: bytes) -> Parts:
    """Cut the body, put something into it, put it into something, or replace it. A body where there was none, too."""
    method, target, fields, _ = parts(seed)
    odd = ODD_JSON[where % len(ODD_JSON)].encode("utf-8", "surrogatepass")
    at = where % (len(seed.body) + 1)
    bodies = (seed.body[:at], seed.body[:at] + odd + seed.body[at:], b"[" + seed.body + b"]", odd)
    return method, target, fields, bodies[len(piece) % len(bodies)]


def change_field(seed: Request, where: int, piece: bytes) -> Parts:
    """Drop a header, or give it twice with another value; Host stays."""
    method, target, fields, body = parts(seed)
    if len(fields) < 2:
        return method, target, (*fields, (b"X-More", piece)), body
    at = 1 + where % (len(fields) - 1)
    again = () if len(piece) % 3 == 0 else (fields[at], (fields[at][0], piece))
    return method, target, (*fields[:at], *again, *fields[at + 1 :]), body


CHANGES = [insert_in_target, cut_target, add_to_query, other_method, spoil_body, change_field]
