"""Requests for the operations of an OpenAPI schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from .odd import FIELDS, METHODS, ODD_BODIES, ODD_ENCODED, ODD_TYPES
from .request import Request, request
from .schema import Schema, any_json, any_text, encoded, resolve, weighted

Requests = st.SearchStrategy[Request]
Pairs = list[tuple[bytes, bytes]]
Content = tuple[str | None, bytes | None, Sequence[int]]

# The limits of a request line and a header section have tests of their own; below them, anything goes.
LONGEST_TARGET = 7000
LONGEST_HEADERS = 48_000
MOST_HEADERS = 100
# A server reads these itself.
FRAMING = ("host", "content-type", "content-length", "transfer-encoding", "connection", "expect", "upgrade")


def always_these(examples: int) -> settings:
    """Return hypothesis's settings: so many examples, the same ones in each run, however long one takes."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


def from_schema(openapi: Schema) -> list[Requests]:
    """A strategy for each operation."""
    return [
        operation_requests(
            method.upper(), path, [*item.get("parameters", []), *operation.get("parameters", [])], operation, openapi
        )
        for path, item in openapi.get("paths", {}).items()
        for method, operation in item.items()
        if method != "parameters"
    ]


def operation_requests(method: str, path: str, parameters: list[Schema], operation: Schema, root: Schema) -> Requests:
    """Requests of one operation."""
    places: dict[str, list[Schema]] = {"path": [], "query": [], "header": [], "cookie": []}
    for parameter in parameters:
        found = resolve(parameter, root)
        places[found["in"]].append(found)
    parts = st.tuples(
        weighted((12, st.just(method)), (1, st.sampled_from(METHODS))),
        target_path(path, places["path"], root),
        query(places["query"], root),
        headers(places["header"], places["cookie"], root),
        content(operation, root),
    )

    def build(drawn: tuple[str, bytes, bytes | None, Pairs, Content]) -> Request:
        verb, where, asked, fields, (kind, body, chunks) = drawn
        target = where if asked is None else where + b"?" + asked
        if kind is not None:
            fields = [*fields, (b"Content-Type", kind.encode())]
        return bounded(verb, target, fields, body, chunks)

    return parts.map(build)


def bounded(
    method: str,
    target: bytes,
    fields: Sequence[tuple[bytes, bytes]],
    body: bytes | None,
    chunks: Sequence[int] = (),
) -> Request:
    """A request, without what is too long to be about the application."""
    kept, size = [], 0
    for name, value in fields:
        size += len(name) + len(value) + 4
        if size < LONGEST_HEADERS and len(kept) < MOST_HEADERS:
            kept.append((name, value))
    return request(method, target[:LONGEST_TARGET], kept, body=body, chunks=chunks if body else ())


def target_path(path: str, parameters: list[Schema], root: Schema) -> st.SearchStrategy[bytes]:
    """A path with its parameters filled in, now and then with a slash too many or too few."""
    schemas = {parameter["name"]: parameter.get("schema", {}) for parameter in parameters}
    pieces: list[st.SearchStrategy[bytes]] = []
    for index, part in enumerate(path.replace("}", "{").split("{")):
        if index % 2:
            pieces.append(encoded(any_text(schemas.get(part.partition(":")[0], {}), root)))
        else:
            pieces.append(st.just(quote(part).encode()))
    exact = st.tuples(*pieces).map(b"".join)
    return weighted(
        (20, exact), (1, exact.map(lambda found: found + b"/")), (1, exact.map(lambda found: found[:-1] or b"/"))
    )


def query(parameters: list[Schema], root: Schema) -> st.SearchStrategy[bytes | None]:
    """A query: declared parameters, present, absent or repeated, and others; None for none at all."""
    known = [
        st.tuples(st.just(quote(parameter["name"]).encode()), encoded(any_text(parameter.get("schema", {}), root)))
        for parameter in parameters
    ]
    other = st.tuples(st.sampled_from([b"", b"x", b"%78", b"Q", b"q[]"]), st.sampled_from(ODD_ENCODED).map(str.encode))
    whole = st.tuples(*known).map(list)
    some = st.lists(st.one_of([*known, other]), max_size=4)
    both = st.tuples(whole, some).map(lambda two: [*two[0], *two[1]])
    pairs = weighted((5, whole), (2, both), (2, some))
    text = pairs.map(lambda found: b"&".join(name + b"=" + value for name, value in found))
    odd = text.map(lambda found: found.replace(b"=", b"", 1) + b"&&")
    return weighted((10 if known else 1, text), (1, odd), (1 if known else 8, st.none()))


def headers(declared: list[Schema], cookies: list[Schema], root: Schema) -> st.SearchStrategy[Pairs]:
    """Declared headers and cookies, and some that mean something to others."""
    known = named_values([one for one in declared if one["name"].lower() not in FRAMING], root)
    jar = named_values(cookies, root)
    parts: list[st.SearchStrategy[Pairs]] = [
        weighted(
            (8, st.tuples(*known).map(list)), (2, st.lists(st.one_of(known), max_size=3) if known else st.just([]))
        ),
        weighted((3, st.just([])), (1, st.lists(st.sampled_from(FIELDS), max_size=2))),
    ]
    if jar:
        pairs = weighted((5, st.tuples(*jar).map(list)), (1, st.lists(st.one_of(jar), max_size=3)))
        parts.append(pairs.map(lambda found: [(b"Cookie", b"; ".join(b"=".join(pair) for pair in found))]))
    return st.tuples(*parts).map(lambda found: [pair for part in found for pair in part])


def named_values(parameters: list[Schema], root: Schema) -> list[st.SearchStrategy[tuple[bytes, bytes]]]:
    return [
        st.tuples(st.just(one["name"].encode()), any_text(one.get("schema", {}), root).map(field_value))
        for one in parameters
    ]


def field_value(text: str) -> bytes:
    """Text as a header's value: no control characters, anything above ASCII as it comes."""
    raw = text.encode("utf-8", "surrogatepass")
    return bytes(byte for byte in raw if byte == 9 or (byte >= 32 and byte != 127)).strip(b" \t")


def content(operation: Schema, root: Schema) -> st.SearchStrategy[Content]:
    """Content type, body and sizes of chunks."""
    nothing: st.SearchStrategy[Content] = st.just((None, None, ()))
    kinds = st.one_of(st.none(), st.sampled_from(ODD_TYPES))
    chunks = weighted((5, st.just(())), (1, st.just((1, 7, 3))))
    odd: st.SearchStrategy[Any] = st.tuples(kinds, st.sampled_from(ODD_BODIES), chunks)
    media = resolve(operation.get("requestBody", {}), root).get("content", {})
    if not media:
        return weighted((12, nothing), (1, odd))
    kind, described = next(iter(media.items()))
    body = any_json(described.get("schema", {}), root).map(lambda text: text.encode("utf-8", "surrogatepass"))
    good = st.tuples(st.just(kind), body, chunks)
    return weighted((14, good), (1, st.tuples(kinds, body, chunks)), (2, odd), (1, nothing))
