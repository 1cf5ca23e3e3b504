"""What ASGI applications hand to send(), written so that reading it runs code that changes it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Response

from tests.conftest import get
from turboapi import Server

Serve = Callable[..., Server]
START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body", "body": b"end"}


def sends(*messages: Any, errors: list[BaseException] | None = None) -> Any:
    """An application that sends these; what send() raises goes to `errors`."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        for message in messages:
            try:
                await send(message() if callable(message) else message)
            except Exception as error:
                if errors is None:
                    raise
                errors.append(error)

    return app


def big() -> bytes:
    """Bytes that nobody else refers to, from the allocator of large objects."""
    return bytes(bytearray(b"x" * 100_000))


def test_flag_that_removes_the_body_as_it_is_read(serve: Serve, transport: str) -> None:
    class Flag:
        def __bool__(self) -> bool:
            del message["body"]
            return False

    message: dict[str, Any] = {"type": "http.response.body", "body": big(), "more_body": Flag()}
    assert get(serve(sends(START, message), transport=transport)).data == b"x" * 100_000


def test_key_that_removes_the_body_as_it_is_looked_up(serve: Serve) -> None:
    class Key(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            message.pop("body", None)
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    message: dict[str, Any] = {"type": "http.response.body", "body": big(), Key("more_body"): False}
    assert get(serve(sends(START, message))).data == b"x" * 100_000


def test_status_that_removes_the_headers_as_it_is_read(serve: Serve, transport: str) -> None:
    class Status:
        def __index__(self) -> int:
            message["headers"] = [(b"x-late", b"2")]
            del message["status"]
            return 201

    message: dict[str, Any] = {"type": "http.response.start", "status": Status(), "headers": [(b"x-early", b"1")]}
    reply = get(serve(sends(message, END), transport=transport))
    assert (reply.status, reply.getheader("x-late"), reply.getheader("x-early")) == (201, "2", None)


def test_headers_that_are_freed_while_they_are_iterated(serve: Serve) -> None:
    class Headers:
        def __init__(self) -> None:
            self.pairs = [(b"x-%d" % i, big()[:20]) for i in range(50)]

        def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
            message.clear()
            return iter(self.pairs)

        def __length_hint__(self) -> int:
            return len(self.pairs)

    message: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": Headers()}
    reply = get(serve(sends(message, END)))
    assert [reply.getheader(f"x-{i}") for i in range(50)] == ["x" * 20] * 50


def test_pair_that_empties_the_list_of_headers(serve: Serve) -> None:
    class Pair:
        def __init__(self, name: bytes) -> None:
            self.name = name

        def __iter__(self) -> Iterator[bytes]:
            headers.clear()
            return iter((self.name, b"v"))

    headers: list[Any] = [Pair(b"x-1"), Pair(b"x-2")]
    reply = get(serve(sends({"type": "http.response.start", "status": 200, "headers": headers}, END)))
    assert (reply.getheader("x-1"), reply.getheader("x-2")) == ("v", None)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python code cannot be a buffer before 3.12")
def test_buffer_that_empties_its_own_pair(serve: Serve) -> None:
    class Name:
        def __buffer__(self, flags: int) -> memoryview:
            pair.clear()
            return memoryview(b"x-name")

    pair: list[Any] = [Name(), bytes(bytearray(b"value-" * 50))]
    reply = get(serve(sends({"type": "http.response.start", "status": 200, "headers": [pair]}, END)))
    assert reply.getheader("x-name") == "value-" * 50


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python code cannot be a buffer before 3.12")
def test_buffer_that_sends_a_message_itself(serve: Serve) -> None:
    errors: list[BaseException] = []
    sent: list[Any] = []

    class Name:
        def __buffer__(self, flags: int) -> memoryview:
            sent[0]({"type": "http.response.start", "status": 202, "headers": [(b"x-inner", b"1")]})
            return memoryview(b"x-outer")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        sent.append(send)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [(Name(), b"1")]})
        except RuntimeError as error:
            errors.append(error)
        await send(END)

    reply = get(serve(app, lifespan="off"))
    assert reply.status == 202
    assert len(errors) == 1
    assert "while another one was being read" in str(errors[0])


@pytest.mark.parametrize(
    "message",
    [
        None,
        [],
        {},
        {"type": 1},
        {"type": "http.response.start"},
        {"type": "http.response.start", "status": None},
        {"type": "http.response.start", "status": "200"},
        {"type": "http.response.start", "status": 99},
        {"type": "http.response.start", "status": 2**70},
        {"type": "http.response.start", "status": 200, "headers": None},
        {"type": "http.response.start", "status": 200, "headers": [1]},
        {"type": "http.response.start", "status": 200, "headers": [()]},
        {"type": "http.response.start", "status": 200, "headers": [(b"a",)]},
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b", b"c")]},
        {"type": "http.response.start", "status": 200, "headers": [("a", "b")]},
        {"type": "http.response.start", "status": 200, "headers": [(b"a", None)]},
        {"type": "http.response.body", "body": b""},
        {"type": "http.response.early_hint"},
        {"type": "http.response.early_hint", "links": None},
        {"type": "http.response.early_hint", "links": ["a"]},
        {"type": "websocket.accept"},
    ],
    ids=repr,
)
def test_message_that_is_none_raises_and_leaves_the_exchange_usable(serve: Serve, message: Any) -> None:
    errors: list[BaseException] = []
    reply = get(serve(sends(message, START, END, errors=errors), lifespan="off"))
    assert (reply.status, reply.data) == (200, b"end")
    assert len(errors) == 1


@pytest.mark.parametrize("body", [None, "text", 1, [b"x"]], ids=repr)
def test_body_that_is_none_raises_and_leaves_the_exchange_usable(serve: Serve, body: Any) -> None:
    errors: list[BaseException] = []
    reply = get(serve(sends(START, {**END, "body": body}, END, errors=errors)))
    assert (reply.status, reply.data) == (200, b"end")
    assert [type(error) for error in errors] == [TypeError]


@pytest.mark.parametrize("body", [b"abc", bytearray(b"abc"), memoryview(b"abc")], ids=repr)
def test_any_buffer_is_a_body(serve: Serve, body: Any) -> None:
    assert get(serve(sends(START, {**END, "body": body}))).data == b"abc"


@pytest.mark.parametrize("lane", ["async def", "def"])
def test_response_whose_attributes_change_each_other(serve: Serve, lane: str) -> None:
    class Odd(Response):
        @property
        def status_code(self) -> int:
            self.raw_headers = [(b"x-new", b"1")]
            return 203

        @status_code.setter
        def status_code(self, value: int) -> None:
            pass

    def answer() -> Any:
        return Odd(big())

    async def answer_async() -> Any:
        return Odd(big())

    app = FastAPI()
    app.get("/", response_model=None)(answer if lane == "def" else answer_async)
    reply = get(serve(app))
    assert (reply.status, reply.getheader("x-new"), len(reply.data)) == (203, "1", 100_000)


@pytest.mark.parametrize("lane", ["async def", "def"])
@pytest.mark.parametrize("attribute", ["status_code", "raw_headers", "body", "background"])
def test_response_that_lacks_an_attribute_answers_500(serve: Serve, lane: str, attribute: str) -> None:
    def answer() -> Any:
        made = Response("x")
        delattr(made, attribute)
        return made

    async def answer_async() -> Any:
        return answer()

    app = FastAPI()
    app.get("/", response_model=None)(answer if lane == "def" else answer_async)
    assert get(serve(app)).status == 500


def test_class_whose_call_is_replaced_while_it_is_used(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()

    class Mine(Response):
        pass

    @app.get("/", response_model=None)
    async def root() -> Any:
        return Mine("plain")

    server = serve(app)
    assert get(server).data == b"plain"

    async def instead(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"instead"})

    monkeypatch.setattr(Mine, "__call__", instead)
    assert get(server).data == b"instead"
