"""Handlers and applications that return what makes no sense: an error of theirs, never of anybody else's."""

from __future__ import annotations

import asyncio
import decimal
import logging
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from tests.conftest import eventually, get
from tests.faults.client import Client
from turboapi import Server

Serve = Callable[..., Server]
Connect = Callable[..., Client]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.CRITICAL, logger="turboapi.error"):
        yield


def cyclic_list() -> Any:
    found: list[Any] = []
    found.append(found)
    return found


def cyclic_dict() -> Any:
    found: dict[str, Any] = {}
    found["me"] = {"again": found}
    return found


def deep() -> Any:
    found: Any = []
    for _ in range(100_000):
        found = [found]
    return found


class Liar(dict):  # type: ignore[type-arg]
    """A dict that says something else each time."""

    def items(self) -> Any:
        raise RuntimeError("no items")

    keys = values = __iter__ = items  # type: ignore[assignment]


class Raises:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class NotAResponse(Response):
    def __init__(self) -> None:
        pass  # without status_code, headers, body


class Hidden:
    __slots__ = ()

    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")


def with_attributes(**attributes: Any) -> Callable[[], Response]:
    def make() -> Response:
        response = JSONResponse({"a": 1})
        for name, value in attributes.items():
            setattr(response, name, value)
        return response

    return make


# What a handler returns, and the statuses that are an answer to it. None: the connection may also just end.
RETURNED: dict[str, tuple[Callable[[], Any], set[int]]] = {
    "object": (object, {200, 500}),
    "type": (lambda: object, {200, 500}),
    "function": (lambda: cyclic_list, {200, 500}),
    "module": (lambda: asyncio, {200, 500}),
    "exception": (lambda: ValueError("returned"), {200, 500}),
    "coroutine function": (lambda: asyncio.sleep, {200, 500}),
    "lone surrogate": (lambda: "\ud800", {500}),
    "lone surrogate inside": (lambda: {"a": ["\udfff"], "\ud800": 1}, {500}),
    "cyclic list": (cyclic_list, {500}),
    "cyclic dict": (cyclic_dict, {500}),
    "deep list": (deep, {500}),
    "huge int": (lambda: 10**4000, {200}),
    "int without text": (lambda: 10**5000, {200, 500}),
    "NaN": (lambda: float("nan"), {200, 500}),
    "infinity": (lambda: [float("inf"), float("-inf")], {200, 500}),
    "Decimal NaN": (lambda: decimal.Decimal("sNaN"), {200, 500}),
    "bytes that are no UTF-8": (lambda: b"\xff\xfe", {500}),
    "keys of all kinds": (lambda: {1: 2, None: 3, (1, 2): 4, 1.5: 5, False: 6}, {200, 500}),
    "set": (lambda: {1, 2}, {200}),
    "generator": (lambda: (i for i in range(3)), {200}),
    "endless depth of dicts": (lambda: __import__("functools").reduce(lambda a, _: {"a": a}, range(5000), {}), {500}),
    "liar": (lambda: Liar(a=1), {200, 500}),
    "raises on every attribute": (Raises, {500}),
    "no class": (Hidden, {200, 500}),
    "response without anything": (NotAResponse, {500}),
    "status 99": (lambda: JSONResponse({}, status_code=99), {500}),
    "status 1000": (lambda: JSONResponse({}, status_code=1000), {500}),
    "status 0": (lambda: JSONResponse({}, status_code=0), {500}),
    "status -1": (lambda: JSONResponse({}, status_code=-1), {500}),
    "status 10**30": (lambda: JSONResponse({}, status_code=10**30), {500}),
    "status 100": (lambda: JSONResponse({}, status_code=100), {500}),
    "status 101": (lambda: JSONResponse({}, status_code=101), {500}),
    "status text": (with_attributes(status_code="200"), {500}),
    "status None": (with_attributes(status_code=None), {500}),
    "body is text": (with_attributes(body="text"), {500}),
    "body is None": (with_attributes(body=None), {500}),
    "body is a list": (with_attributes(body=[1]), {500}),
    "body is longer than it says": (with_attributes(body=b"longer than before"), {500}),
    "body is shorter than it says": (with_attributes(body=b"{}"), {500}),
    "headers are None": (with_attributes(raw_headers=None), {500}),
    "headers are numbers": (with_attributes(raw_headers=[1, 2]), {500}),
    "headers are text": (with_attributes(raw_headers=[("a", "b")]), {500}),
    "headers are triples": (with_attributes(raw_headers=[(b"a", b"b", b"c")]), {500}),
    "header value with CR LF": (with_attributes(raw_headers=[(b"a", b"b\r\nset-cookie: c=d")]), {500}),
    "header value with LF": (with_attributes(raw_headers=[(b"a", b"b\nset-cookie: c=d")]), {500}),
    "header value with NUL": (with_attributes(raw_headers=[(b"a", b"\0")]), {500}),
    "header name with CR LF": (with_attributes(raw_headers=[(b"a: b\r\nset-cookie", b"c=d")]), {500}),
    "header name with space": (with_attributes(raw_headers=[(b"a b", b"c")]), {500}),
    "header name empty": (with_attributes(raw_headers=[(b"", b"c")]), {500}),
    "two lengths": (with_attributes(raw_headers=[(b"content-length", b"7"), (b"content-length", b"8")]), {500}),
    "length is no number": (with_attributes(raw_headers=[(b"content-length", b"seven")]), {500}),
    "length is negative": (with_attributes(raw_headers=[(b"content-length", b"-1")]), {500}),
    "length and chunked": (
        with_attributes(raw_headers=[(b"content-length", b"7"), (b"transfer-encoding", b"chunked")]),
        {200, 500},
    ),
    "own transfer coding": (with_attributes(raw_headers=[(b"transfer-encoding", b"gzip")]), {200, 500}),
    "background is a number": (with_attributes(background=7), {200, 500}),
    "background is the class": (with_attributes(background=asyncio.Task), {200, 500}),
    "many headers": (with_attributes(raw_headers=[(b"x-a", b"b" * 100)] * 20_000), {200, 500}),
    "large header": (with_attributes(raw_headers=[(b"x-a", b"b" * 5_000_000)]), {200, 500}),
}


@pytest.mark.parametrize("name", RETURNED)
def test_what_a_handler_returns_breaks_nothing(serve: Serve, connect: Connect, transport: str, name: str) -> None:
    make, statuses = RETURNED[name]
    app = FastAPI()

    @app.get("/loop", response_model=None)
    async def loop() -> Any:
        return make()

    @app.get("/call", response_model=None)
    def call() -> Any:
        return make()

    @app.get("/any")
    async def with_model() -> Any:
        return make()

    @app.get("/fine")
    async def fine() -> int:
        return 1

    server = serve(app, transport=transport)
    for path in ("/loop", "/call", "/any"):
        client = connect(server)
        try:
            reply = client.get(path).reply()
        except EOFError:
            assert 500 in statuses, path  # begun, and cut off
            continue
        assert reply.status in statuses, (path, reply)
        assert reply.field("set-cookie") is None
        if reply.status == 200:
            # Its framing was sound: the connection serves the next request, unless it said that it would not.
            assert reply.field("connection") == "close" or client.get("/fine").reply().body == b"1"
    assert get(server, "/fine").data == b"1"


def test_wrong_result_for_a_response_model(serve: Serve, connect: Connect, transport: str) -> None:
    app = FastAPI()

    class Item(BaseModel):
        n: int

    @app.get("/loop", response_model=Item)
    async def loop() -> Any:
        return {"n": "no number"}

    @app.get("/call", response_model=list[Item])
    def call() -> Any:
        return [Item(n=1), None, cyclic_list()]

    server = serve(app, transport=transport)
    for path in ("/loop", "/call"):
        assert connect(server).get(path).reply().status == 500


def test_async_handler_that_returns_an_awaitable_does_not_hang(serve: Serve, connect: Connect, transport: str) -> None:
    app = FastAPI()

    @app.get("/loop")
    async def loop() -> Any:
        return asyncio.get_running_loop().create_future()

    server = serve(app, transport=transport)
    assert connect(server).get("/loop").reply().status in (200, 500)


# ---- whole applications -----------------------------------------------------


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


class Awaitable:
    """An awaitable that is no coroutine."""

    def __init__(self, *args: Any) -> None:
        self._args = args

    def __await__(self) -> Generator[Any, None, None]:
        return hello(*self._args).__await__()


class Application:
    """An application whose call is a class's: its instances are what is awaited."""

    async def __call__(self, *args: Any) -> None:
        await hello(*args)


@pytest.mark.parametrize(
    "app",
    [Awaitable, Application(), lambda *args: asyncio.ensure_future(hello(*args)), lambda *args: hello(*args)],
    ids=["awaitable", "object", "future", "coroutine"],
)
def test_any_awaitable_is_a_running_application(serve: Serve, transport: str, app: Any) -> None:
    server = serve(app, transport=transport, lifespan="off")
    assert get(server, "/").data == b"hello"


@pytest.mark.parametrize("returned", [None, 7, "text", [], lambda: None, object()], ids=lambda value: repr(value)[:12])
def test_application_that_returns_no_awaitable(serve: Serve, transport: str, returned: Any) -> None:
    server = serve(lambda scope, receive, send: returned, transport=transport, lifespan="off")
    assert get(server, "/").status == 500


def test_application_that_takes_no_arguments(serve: Serve, transport: str) -> None:
    server = serve(lambda: None, transport=transport, lifespan="off")
    assert get(server, "/").status == 500


def test_application_that_answers_and_does_not_end(serve: Serve, transport: str, connect: Connect) -> None:
    """The answer is out; what goes on is background work, and the connection serves the next request."""
    going = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        going.append(1)
        await asyncio.Event().wait()

    server = serve(app, transport=transport, lifespan="off", timeout_stop=0.1)
    client = connect(server)
    for _ in range(3):
        assert client.get("/").reply().body == b"hello"
    eventually(lambda: len(going) == 3)


def test_messages_kept_for_later_do_nothing(serve: Serve, transport: str) -> None:
    """Calls receive and send of requests that are over, when their records belong to others."""
    kept: list[tuple[Any, Any]] = []
    errors: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for old_receive, old_send in kept[-5:]:
            try:
                if (message := await old_receive())["type"] != "http.disconnect":
                    raise AssertionError(message)
                await old_send({"type": "http.response.start", "status": 500, "headers": []})
                await old_send({"type": "http.response.body", "body": b"not mine"})
            except BaseException as error:
                errors.append(error)
        kept.append((receive, send))
        await hello(scope, receive, send)

    server = serve(app, transport=transport, lifespan="off")
    for _ in range(50):
        assert get(server, "/").data == b"hello"
    assert errors == []


def test_many_tasks_receive_and_send_at_once(serve: Serve, connect: Connect, transport: str) -> None:
    """No order of theirs is right, but the answer is one answer."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        waiting = [asyncio.ensure_future(receive()) for _ in range(10)]
        part = {"type": "http.response.body", "body": b"x" * 100_000, "more_body": True}
        await asyncio.gather(*[send(part) for _ in range(20)])
        for task in waiting[:5]:
            task.cancel()
        await send({"type": "http.response.body"})
        await asyncio.wait(waiting)

    server = serve(app, transport=transport, lifespan="off")
    assert len(connect(server).get("/").reply().body) == 2_000_000
    eventually(lambda: server.stats()["in_flight"] == 0)
