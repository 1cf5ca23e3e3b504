"""Stopping while connections and handlers are in every state, some of which will never end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio.from_thread
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tests.conftest import PATIENCE, eventually
from tests.faults.client import Client
from tests.faults.gate import Gate, gated
from tests.faults.test_departures import HALVES
from turboapi import Server
from turboapi.engine import control, loops

Serve = Callable[..., Server]
Connect = Callable[..., Client]

pytestmark = pytest.mark.usefixtures("short_unwind")


@pytest.fixture
def free() -> Iterator[threading.Event]:
    """Set at the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


def test_stop_with_connections_in_every_state(serve: Serve, connect: Connect, transport: str) -> None:
    """Each has its answer, or is closed without a byte of one."""
    gate = Gate()
    server = serve(gated(gate), transport=transport)
    serving = server._serving
    assert serving is not None
    read = server.stats()["bytes_in"]
    halves = [connect(server).send(half) for half in HALVES.values()]
    idle = [connect(server) for _ in range(5)]
    used = [connect(server).get("/fine") for _ in range(5)]
    running = [connect(server).get(path) for path in ("/loop", "/call", "/request", "/fallback/x")]
    behind = [connect(server).get("/loop").get("/fine") for _ in range(3)]
    gone = [connect(server).get("/call") for _ in range(3)]
    assert all(client.reply().body == b"1" for client in used)
    eventually(lambda: len(gate.entered) >= 4 + 3 + 3 + 3)
    eventually(lambda: server.stats()["bytes_in"] - read > sum(map(len, HALVES.values())))
    for client in gone:
        client.leave("rst")
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    # An idle one is closed at once, while handlers run on.
    assert [client.rest() for client in idle + used] == [b""] * 10
    gate.open()
    for client in running:
        reply = client.reply()
        assert (reply.status, reply.field("connection")) == (200, "close")
        assert client.rest() == b""
    for client in behind:
        assert client.reply().status == 200
        # The second request was read already or not; never half an answer.
        rest = client.rest()
        assert rest == b"" or (rest.startswith(b"HTTP/1.1 200 ") and rest.endswith(b"\r\n\r\n1"))
    # Those that never come to their end would hold the server until its limit.
    serving.force()
    for client, half in zip(halves, HALVES, strict=True):
        answer = client.rest()
        # 500: the handler of a body that never came to its end was cancelled.
        statuses = (b"HTTP/1.1 408 ", b"HTTP/1.1 100 ", b"HTTP/1.1 200 ", b"HTTP/1.1 500 ")
        assert answer == b"" or answer.startswith(statuses), half
    stopper.join(PATIENCE)
    assert not stopper.is_alive()


def deaf(seconds: float) -> Callable[[], Any]:
    """A coroutine function that goes on for so long after it was cancelled."""

    async def handler() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                await asyncio.sleep(0.01)
        return "done"

    return handler


def test_handlers_that_hang_are_cut_off_at_the_limit(
    serve: Serve, connect: Connect, transport: str, loop_name: str, free: threading.Event
) -> None:
    app = FastAPI()

    @app.get("/loop")
    async def loop() -> None:
        await asyncio.Event().wait()

    @app.get("/call")
    def call() -> None:
        free.wait()

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(parts())

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    app.mount("/fallback", application)
    server = serve(app, transport=transport, loop=loop_name, timeout_stop=0.1, call_threads=1)
    clients = [connect(server).get(path) for path in ("/loop", "/call", "/call", "/stream", "/fallback/x")]
    eventually(lambda: server.stats()["in_flight"] == 5)
    server.stop()
    for client in clients:
        client.rest()  # ends, with or without an answer
    free.set()


@pytest.mark.parametrize("seconds", [0.05, 0.6])
def test_handler_that_ends_long_after_its_cancellation_gives_its_exchange_back(
    serve: Serve, connect: Connect, transport: str, loop_name: str, seconds: float
) -> None:
    """Also where the server's core is closed by then (the fixture counts the exchanges)."""
    app = FastAPI()
    app.get("/loop")(deaf(seconds))
    server = serve(app, transport=transport, loop=loop_name, timeout_stop=0.05)
    clients = [connect(server).get("/loop") for _ in range(3)]
    eventually(lambda: server.stats()["in_flight"] == 3)
    server.stop()
    for client in clients:
        client.rest()  # ends, with or without an answer


@pytest.mark.parametrize("kind", ["result", "exception", "http exception", "response", "next stage", "from thread"])
def test_call_that_ends_after_the_server_gives_its_exchange_back(
    serve: Serve, connect: Connect, transport: str, kind: str, free: threading.Event
) -> None:
    """What it would hand to the loop has no loop any more."""
    app = FastAPI()
    left: list[str] = []

    class Custom(JSONResponse):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            raise AssertionError("never sent")

    class Mine(Exception):
        pass

    @app.exception_handler(Mine)
    async def on_mine(request: Request, error: Mine) -> Response:
        raise AssertionError("never called")

    def dependency() -> None:
        if kind == "next stage":
            free.wait(PATIENCE)

    async def later(_: None = Depends(dependency)) -> None:
        pass

    @app.get("/", response_model=None)
    def root(_: None = Depends(later)) -> Any:
        try:
            if kind != "next stage":
                free.wait(PATIENCE)
            if kind == "exception":
                raise Mine
            if kind == "http exception":
                from fastapi import HTTPException

                raise HTTPException(400)
            if kind == "from thread":
                with contextlib.suppress(RuntimeError):
                    anyio.from_thread.run(asyncio.sleep, 0)
            return Custom({}) if kind == "response" else {}
        finally:
            left.append(kind)

    server = serve(app, transport=transport, timeout_stop=0.05)
    clients = [connect(server).get("/") for _ in range(3)]
    eventually(lambda: server.stats()["in_flight"] == 3)
    server.stop()
    assert control.stats(0)["servers"] == 0
    free.set()
    for client in clients:
        client.rest()
    eventually(lambda: not any(t.name.startswith("turboapi-call-") for t in threading.enumerate()))


def test_calls_that_wait_for_a_thread_when_the_server_is_cut_off(
    connect: Connect, transport: str, free: threading.Event
) -> None:
    app = FastAPI()

    @app.get("/")
    def root() -> None:
        free.wait(PATIENCE)

    server = Server(app, port=0, transport=transport, call_threads=1, timeout_stop=30.0).start()
    serving = server._serving
    assert serving is not None
    clients = [connect(server).get("/") for _ in range(20)]
    eventually(lambda: server.stats()["call_queued"] == 19)
    serving.force()
    server.stop()
    free.set()
    for client in clients:
        client.rest()


def test_forced_stop_while_everything_is_under_way(connect: Connect, transport: str, loop_name: str) -> None:
    """No exchange is lost when nobody waits for any (the fixture counts)."""
    for _ in range(5):
        gate = Gate()
        server = Server(gated(gate), port=0, transport=transport, loop=loop_name, timeout_stop=30.0).start()
        serving = server._serving
        assert serving is not None
        paths = ["/loop", "/call", "/request", "/fallback/x", "/fine"] * 6
        clients = [connect(server).get(path) for path in paths]
        halves = [connect(server).send(half) for half in HALVES.values()]
        serving.force()
        gate.open()
        server.stop()
        for client in clients + halves:
            client.rest()


def test_stop_from_everywhere_at_once(serve: Serve, connect: Connect, transport: str, loop_name: str) -> None:
    app = FastAPI()
    servers: list[Server] = []
    threads: list[threading.Thread] = []

    @app.get("/loop")
    async def loop() -> str:
        servers[0].stop()
        return "asked"

    @app.get("/call")
    def call() -> str:
        servers[0].stop()
        return "asked"

    @app.get("/thread")
    def from_thread() -> str:
        thread = threading.Thread(target=servers[0].stop)
        threads.append(thread)
        thread.start()
        return "asked"

    @app.get("/from-thread")
    def from_a_worker() -> str:
        anyio.from_thread.run_sync(servers[0].stop)
        return "asked"

    servers.append(serve(app, transport=transport, loop=loop_name))
    paths = ("/loop", "/call", "/thread", "/from-thread") * 3
    clients = [connect(servers[0]) for _ in paths]
    eventually(lambda: servers[0].stats()["connections"] == len(paths))
    for client, path in zip(clients, paths, strict=True):
        with contextlib.suppress(ConnectionError):
            client.get(path)
    for client in clients:
        answer = client.rest()
        assert answer == b"" or answer.endswith(b'"asked"')
    outside = [threading.Thread(target=servers[0].stop) for _ in range(4)]
    for thread in outside:
        thread.start()
    for thread in threads + outside:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert not servers[0].started


def test_guest_that_is_cancelled_twice_lets_go(connect: Connect, transport: str) -> None:
    app = FastAPI()
    app.get("/loop")(deaf(0.3))

    async def main() -> None:
        server = Server(app, port=0, transport=transport, timeout_stop=30.0)
        guest = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.001)
        client = connect(server).get("/loop")
        while not server.stats()["in_flight"]:
            await asyncio.sleep(0.001)
        guest.cancel()
        await asyncio.sleep(0.01)
        guest.cancel()
        with pytest.raises(asyncio.CancelledError):
            await guest
        client.sock.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            await asyncio.wait(left)

    asyncio.run(main())


def test_handler_that_swallows_its_cancellation_does_not_keep_the_server(
    serve: Serve, connect: Connect, transport: str, loop_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "_TASK_GRACE", 0.2)
    app = FastAPI()

    @app.get("/")
    async def deaf_for_ever() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    server = serve(app, transport=transport, loop=loop_name, timeout_stop=0.05)
    client = connect(server).get("/")
    eventually(lambda: server.stats()["in_flight"] == 1)
    server.stop()
    assert client.rest() == b""
    gc.collect()
