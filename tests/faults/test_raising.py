"""Handlers that raise, on every lane, everything that can be raised: the client has its answer, the server goes on."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from tests.conftest import PATIENCE, eventually, get
from tests.faults.client import Client
from turboapi import Server

Serve = Callable[..., Server]
Connect = Callable[..., Client]


class Own(BaseException):
    pass


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text either")

    __repr__ = __str__


def deeper() -> None:
    deeper()


def recursion() -> BaseException:
    try:
        deeper()
    except RecursionError as error:
        return error
    raise AssertionError


# What to raise: a class, and the status of the answer.
RAISED: dict[str, tuple[Callable[[], BaseException], int]] = {
    "Exception": (lambda: ValueError("mine"), 500),
    "HTTPException": (lambda: HTTPException(418, {"a": 1}), 418),
    "HTTPException without body": (lambda: HTTPException(304), 304),
    "BaseException": (Own, 500),
    "CancelledError": (asyncio.CancelledError, 500),
    "GeneratorExit": (GeneratorExit, 500),
    "StopIteration": (StopIteration, 500),
    "StopAsyncIteration": (StopAsyncIteration, 500),
    "RecursionError": (recursion, 500),
    "MemoryError": (MemoryError, 500),
    "ExceptionGroup": (lambda: BaseExceptionGroup("all", [Own(), ValueError()]), 500),
    "without text": (Unprintable, 500),
}
LANES = ("loop", "await", "call", "dependency", "sync-dependency", "fallback/")


def raising(make: Callable[[], BaseException]) -> FastAPI:
    app = FastAPI()

    async def dependency() -> None:
        raise make()

    def sync_dependency() -> None:
        raise make()

    @app.get("/loop")
    async def loop() -> None:
        raise make()

    @app.get("/await")
    async def after_await() -> None:
        await asyncio.sleep(0)
        raise make()

    @app.get("/call")
    def call() -> None:
        raise make()

    @app.get("/dependency", dependencies=[Depends(dependency)])
    def with_dependency() -> None:
        pass

    @app.get("/sync-dependency", dependencies=[Depends(sync_dependency)])
    async def with_sync_dependency() -> None:
        pass

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        raise make()

    @app.get("/fine")
    async def fine() -> int:
        return 1

    app.mount("/fallback", plain)
    return app


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.CRITICAL, logger="turboapi.error"):
        yield


@pytest.mark.parametrize("name", RAISED)
def test_whatever_is_raised_is_answered_and_the_server_goes_on(serve: Serve, transport: str, name: str) -> None:
    make, status = RAISED[name]
    server = serve(raising(make), transport=transport)
    for lane in LANES:
        for _ in range(2):
            with Client(server.port) as client:
                assert (lane, client.get(f"/{lane}").reply().status) == (lane, status)
    assert get(server, "/fine").data == b"1"


@pytest.mark.parametrize("leave", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("lane", LANES)
def test_exit_of_a_handler_is_raised_by_stop_and_answered(
    transport: str, loop_name: str, leave: type[BaseException], lane: str
) -> None:
    server = Server(raising(leave), port=0, transport=transport, loop=loop_name, timeout_stop=5.0).start()
    with Client(server.port) as client:
        assert client.get(f"/{lane}").reply().status == 500
        assert client.rest() == b""
    with pytest.raises(leave):
        server.stop()


def test_exit_in_a_batch_loses_no_other_request(connect: Connect, transport: str, loop_name: str) -> None:
    """Requests that were read together with the one that ends the server are answered."""
    app = raising(SystemExit)
    hold = threading.Event()

    @app.get("/hold")
    async def held() -> None:
        hold.wait(PATIENCE)  # stands in the loop's way, so that the others come in one turn

    server = Server(app, port=0, transport=transport, loop=loop_name, timeout_stop=5.0).start()
    clients = [connect(server) for _ in range(20)]
    first = connect(server).get("/hold")
    for i, client in enumerate(clients):
        client.get("/loop" if i == 10 else "/fine")
    hold.set()
    assert first.reply().status == 200
    answers = [client.reply() for client in clients]
    assert [answer.status for answer in answers] == [500 if i == 10 else 200 for i in range(20)]
    with pytest.raises(SystemExit):
        server.stop()


def test_exception_handler_that_fails_is_an_error_and_no_endless_loop(serve: Serve, transport: str) -> None:
    """Its response fails as it is sent, so its own exception is what the handler gets next."""
    app = FastAPI()
    asked: list[str] = []

    class Broken(JSONResponse):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            raise KeyError("in the response")

    class BrokenLater(JSONResponse):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(0)
            raise KeyError("in the response")

    @app.exception_handler(KeyError)
    async def on_key_error(request: Any, error: KeyError) -> JSONResponse:
        asked.append("async")
        return Broken({})

    @app.exception_handler(ZeroDivisionError)
    def on_division(request: Any, error: ZeroDivisionError) -> JSONResponse:
        asked.append("def")
        return BrokenLater({})

    @app.exception_handler(ValueError)
    async def on_value_error(request: Any, error: ValueError) -> JSONResponse:
        raise ValueError("again")

    @app.get("/key")
    async def key() -> None:
        raise KeyError

    @app.get("/key-call")
    def key_call() -> None:
        raise KeyError

    @app.get("/zero")
    async def zero() -> None:
        raise ZeroDivisionError

    @app.get("/value")
    def value() -> None:
        raise ValueError

    @app.get("/broken")
    async def broken() -> Broken:
        return Broken({})

    server = serve(app, transport=transport)
    for path in ("/key", "/key-call", "/zero", "/value", "/broken"):
        with Client(server.port) as client:
            assert (path, client.get(path).reply().status) == (path, 500)
    # Once for the route and once for the middleware around it, as Starlette does: the second time it is a KeyError.
    assert (asked.count("async"), asked.count("def")) == (7, 1)


def test_background_work_that_raises_costs_nothing_but_a_line(serve: Serve, transport: str) -> None:
    app = FastAPI()
    ran: list[str] = []

    def bad(name: str, error: type[BaseException]) -> None:
        ran.append(name)
        raise error

    async def bad_async(name: str, error: type[BaseException]) -> None:
        ran.append(name)
        raise error

    @app.get("/{name}")
    def root(name: str, tasks: BackgroundTasks) -> str:
        tasks.add_task(bad if name == "def" else bad_async, name, Own if name == "own" else ValueError)
        return name

    server = serve(app, transport=transport)
    for name in ("def", "async", "own"):
        assert get(server, f"/{name}").data == f'"{name}"'.encode()
    eventually(lambda: sorted(ran) == ["async", "def", "own"], lambda: str(ran))
    assert get(server, "/def").status == 200


def test_stream_that_raises_is_cut_off_at_once(serve: Serve, transport: str) -> None:
    app = FastAPI()

    async def parts() -> Any:
        yield "first"
        await asyncio.sleep(0)
        raise ValueError

    def sync_parts() -> Any:
        yield "first"
        raise ValueError

    @app.get("/async")
    async def on_loop() -> StreamingResponse:
        return StreamingResponse(parts())

    @app.get("/def")
    def on_call() -> StreamingResponse:
        return StreamingResponse(sync_parts())

    server = serve(app, transport=transport)
    for path in ("/async", "/def"):
        with Client(server.port) as client:
            answer = client.get(path).rest()
        assert b"first" in answer
        assert not answer.endswith(b"0\r\n\r\n")


def test_encoder_that_raises_is_a_500_on_both_lanes(serve: Serve, transport: str) -> None:
    app = FastAPI()

    class Text(PlainTextResponse):
        def render(self, content: Any) -> bytes:
            raise Own

    @app.get("/loop", response_class=Text)
    async def loop() -> str:
        return "x"

    @app.get("/call", response_class=Text)
    def call() -> str:
        return "x"

    server = serve(app, transport=transport)
    for path in ("/loop", "/call"):
        with Client(server.port) as client:
            assert client.get(path).reply().status == 500
