"""Results that C hands to pydantic_core: the same bytes as FastAPI's own face gives, whatever the value."""

from __future__ import annotations

import asyncio
import http.client
import math
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import PATIENCE
from tests.faces.generate import always_these
from turboapi import Server

CHARS = st.characters(exclude_categories=())  # lone surrogates, too
TEXT = st.one_of(
    st.text(CHARS, max_size=20),
    st.text(
        st.sampled_from('\x00\x01\x08\t\n\x0b\x0c\r\x1f "\\/\x7f\x80\xa0\u2028\u2029\ufeff\ufffe\uffff\U0001f600é<>&'),
        max_size=20,
    ),
)
KEYS = st.one_of(TEXT, st.sampled_from(["", "_", "_s", "_sa", "_sa_x", "_saa", "_SA_", "sa_", "a_sa"]))
INTS = st.one_of(
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**300, -0, True, False]),
)
FLOATS = st.one_of(
    st.floats(),
    st.sampled_from(
        [
            *(0.0, -0.0, 1e16, 1e16 - 2, math.nextafter(1e16, 0), 1e15, 1e-4, math.nextafter(1e-4, 0), 5e-324),
            *(2.2250738585072014e-308, 1.7976931348623157e308, 1 / 3, 0.1 + 0.2, 1e22, 1e21, 123456789012345680.0),
        ]
    ),
)
PLAIN = st.one_of(st.none(), st.booleans(), INTS, FLOATS, TEXT)
ODD_KEYS = st.one_of(KEYS, st.integers(-3, 3), st.booleans(), st.none(), st.floats(allow_nan=False))
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(KEYS, inner, max_size=5),
        st.dictionaries(ODD_KEYS, inner, max_size=3),
        st.tuples(inner, inner),
        inner.map(lambda v: [v, v]),  # the same object twice
        inner.map(lambda v: {"a": v, "b": [v]}),
    ),
    max_leaves=20,
)


def nested(depth: int, leaf: Any, kind: str) -> Any:
    for _ in range(depth):
        leaf = [leaf] if kind == "list" else {"k": leaf}
    return leaf


def own_face(app: Any, path: str) -> tuple[int, bytes]:
    """Ask the application itself; an exception that it lets through is a 500."""
    found: list[Any] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        found.append(message)

    async def ask() -> None:
        try:
            await app(scope, receive, send)
        except Exception:
            pass

    asyncio.run(ask())
    return found[0]["status"], b"".join(part.get("body", b"") for part in found[1:])


class Asked:
    """An application that answers whatever `value` is, on both lanes, and a server for it."""

    def __init__(self) -> None:
        self.value: Any = None
        self.app = FastAPI()

        @self.app.get("/loop")
        async def loop():  # type: ignore[no-untyped-def]
            return self.value

        @self.app.get("/call")
        def call():  # type: ignore[no-untyped-def]
            return self.value

        self.server = Server(self.app, port=0).start()
        outcomes = {route.path: route.outcome for route in self.server.routes()}
        assert outcomes["/loop"] == outcomes["/call"] == "compiled"
        self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)

    def compare(self, value: Any) -> None:
        self.value = value
        for path in ("/loop", "/call"):
            self.connection.request("GET", path)
            response = self.connection.getresponse()
            assert (response.status, response.read()) == own_face(self.app, path)

    def close(self) -> None:
        self.connection.close()
        self.server.stop()


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    made = Asked()
    yield made
    made.close()


@given(value=VALUES)
@example(value={"_sa_instance_state": 1, "x": {"_sa": 2}})
@example(value={"\ud800": 1})
@example(value=["\udfff\ud800"])
@example(value=[float("nan")])
@example(value={"a": float("inf")})
@always_these(400)
def test_any_value(asked: Asked, value: Any) -> None:
    asked.compare(value)


@pytest.mark.parametrize("kind", ["list", "dict"])
@pytest.mark.parametrize("depth", [62, 63, 64, 65, 66, 128, 254, 255, 256, 300])
def test_depth(asked: Asked, depth: int, kind: str) -> None:
    asked.compare(nested(depth, "x", kind))


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_value_that_holds_itself(asked: Asked, kind: str) -> None:
    """FastAPI answers 500, from a RecursionError."""
    value: Any = [] if kind == "list" else {}
    value.append(value) if kind == "list" else value.update(a=value)
    asked.compare(value)


class Text(str):
    __slots__ = ()


class Number(int):
    def __repr__(self) -> str:
        return "seven"


class Mapping(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        return {"from": "items"}.items()


class Sequence(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter([1, 2])


@pytest.mark.parametrize(
    "value",
    [Text("x"), Number(7), Mapping(a=1), Sequence([3]), [Text("x")], {"a": Number(7)}, {Text("k"): 1}, (1, 2), {1}],
    ids=repr,
)
def test_subclass_is_left_to_fastapi(asked: Asked, value: Any) -> None:
    asked.compare(value)


def test_large_values(asked: Asked) -> None:
    asked.compare({f"key{i}": [i, i / 7, "é" * (i % 50), None, i % 2 == 0] for i in range(5000)})
    asked.compare("x" * 3_000_000)
    asked.compare([0.1] * 100_000)
