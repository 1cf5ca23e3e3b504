"""Streams on live connections: what goes out when, clients that leave or do not read, and their generators."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from tests.conftest import PATIENCE, eventually, get
from tests.faults.client import Client
from turboapi import Server

Serve = Callable[..., Server]


class Notes(list[str]):
    """What an application did, in order."""

    def __call__(self, *parts: object) -> None:
        self.append(" ".join(map(str, parts)))


def through(app: FastAPI, own: bool) -> Any:
    """The application compiled, or (not own) as what its ASGI face gives."""
    if own:
        return app

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return outer


def read_until(client: Client, text: bytes) -> None:
    got = b""
    while text not in got:
        part = client.sock.recv(4096)
        assert part, got
        got += part


@pytest.fixture(params=[True, False], ids=["compiled", "asgi"])
def own(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_what_is_made_before_a_wait_arrives_before_it_ends(serve: Serve, transport: str, own: bool) -> None:
    app = FastAPI()
    go = threading.Event()

    @app.get("/")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"
            while not go.is_set():
                await asyncio.sleep(0.001)
            yield b"three"

        return StreamingResponse(parts(), headers={"content-length": "11"})

    server = serve(through(app, own), transport=transport)
    with Client(server.port) as client:
        client.get("/")
        head = b""
        while not head.endswith(b"\r\n\r\nonetwo"):
            head += client.sock.recv(4096)
        go.set()
        rest = b""
        while len(rest) < 5:
            rest += client.sock.recv(100)
        assert rest == b"three"


def test_what_is_made_before_a_long_computation_arrives_before_it_ends(serve: Serve, transport: str) -> None:
    """A generator that never awaits anything holds the loop, but not what it made a millisecond ago."""
    app = FastAPI()
    arrived = threading.Event()

    @app.get("/")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"one"
            threading.Event().wait(0.01)
            yield b"two"
            assert arrived.wait(PATIENCE)
            yield b"three"

        return StreamingResponse(parts(), headers={"content-length": "11"})

    server = serve(app, transport=transport)
    with Client(server.port) as client:
        client.get("/")
        head = b""
        while not head.endswith(b"\r\n\r\nonetwo"):
            head += client.sock.recv(4096)
        arrived.set()
        client.sock.recv(100)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_client_that_leaves_cancels_what_the_generator_waits_for(
    serve: Serve, transport: str, own: bool, how: str
) -> None:
    app = FastAPI()
    notes = Notes()

    @app.get("/")
    async def stream(request: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            try:
                yield b"one"
                await asyncio.sleep(PATIENCE)
                notes("slept")
            except asyncio.CancelledError:
                notes("cancelled", await request.is_disconnected())
                raise
            finally:
                try:
                    await asyncio.sleep(PATIENCE)  # by AnyIO's rules everything here is cancelled, again and again
                except asyncio.CancelledError:
                    notes("and again")

        return StreamingResponse(parts())

    server = serve(through(app, own), transport=transport)
    client = Client(server.port).get("/")
    assert b"one" in client.sock.recv(4096)
    client.leave(how)
    eventually(lambda: len(notes) == 2, lambda: str(notes))
    assert notes == ["cancelled True", "and again"]
    eventually(lambda: server.stats()["in_flight"] == 0)


def test_a_cancelled_generator_may_finish_behind_a_shield(serve: Serve, transport: str, own: bool) -> None:
    import anyio

    app = FastAPI()
    notes = Notes()

    @app.get("/")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            try:
                yield b"one"
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.002)
                    notes("finished")

        return StreamingResponse(parts())

    server = serve(through(app, own), transport=transport)
    client = Client(server.port).get("/")
    assert b"one" in client.sock.recv(4096)
    client.leave("rst")
    eventually(lambda: notes == ["finished"], lambda: str(notes))
    eventually(lambda: server.stats()["in_flight"] == 0)


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_a_client_that_does_not_read_stops_the_generator_and_its_departure_ends_it(
    serve: Serve, transport: str, own: bool, kind: str
) -> None:
    app = FastAPI()
    made: list[int] = []
    ended = threading.Event()

    @app.get("/async")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            try:
                while True:
                    made.append(1)
                    yield b"x" * 50_000
            finally:
                ended.set()

        return StreamingResponse(parts())

    @app.get("/sync")
    async def stream_sync() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            try:
                while True:
                    made.append(1)
                    yield b"x" * 50_000
            finally:
                ended.set()

        return StreamingResponse(parts())

    @app.get("/fine")
    async def fine() -> int:
        return 1

    server = serve(through(app, own), transport=transport)
    client = Client(server.port, receive_buffer=4096).get(f"/{kind}")
    eventually(lambda: len(made) > 1)
    before = -1
    while before != len(made):  # it stops some time
        before = len(made)
        for _ in range(20):
            assert get(server, "/fine").data == b"1"
    assert len(made) < 2000
    client.leave("rst")
    eventually(lambda: server.stats()["in_flight"] == 0, lambda: str(server.stats()))
    if kind == "async" and own:  # elsewhere it ends when it is garbage
        eventually(ended.is_set)


def test_a_client_gone_before_its_stream_begins(serve: Serve, transport: str, own: bool) -> None:
    app = FastAPI()
    notes = Notes()
    entered, go = threading.Event(), threading.Event()

    @app.get("/")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            try:
                yield b"one"
                await asyncio.sleep(PATIENCE)
                notes("slept")
            finally:
                notes("ended")

        entered.set()
        while not go.is_set():
            await asyncio.sleep(0.001)
        return StreamingResponse(parts())

    server = serve(through(app, own), transport=transport)
    client = Client(server.port).get("/")
    eventually(entered.is_set)
    client.leave("rst")
    eventually(lambda: server.stats()["connections"] == 0)
    go.set()
    eventually(lambda: server.stats()["in_flight"] == 0)
    assert notes in (["ended"], [])


def test_a_generator_that_goes_on_for_a_client_that_left_lets_others_run(serve: Serve, transport: str) -> None:
    """It awaits nothing; but the loop belongs to all, and where they get it it is cancelled."""
    app = FastAPI()
    stop = threading.Event()
    made: list[int] = []

    @app.get("/")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while not stop.is_set():
                made.append(1)
                yield b"x"

        return StreamingResponse(parts())

    @app.get("/fine")
    async def fine() -> int:
        return 1

    server = serve(app, transport=transport)
    client = Client(server.port).get("/")
    client.sock.recv(1)
    client.leave("rst")
    try:
        assert get(server, "/fine").data == b"1"
        eventually(lambda: server.stats()["in_flight"] == 0)
    finally:
        stop.set()


def test_a_stopped_server_cancels_its_streams(serve: Serve, transport: str) -> None:
    app = FastAPI()
    notes = Notes()

    @app.get("/")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            try:
                yield b"one"
                await asyncio.sleep(PATIENCE)
            except asyncio.CancelledError:
                notes("cancelled")
                raise

        return StreamingResponse(parts())

    server = serve(app, transport=transport, timeout_stop=0.05)
    client = Client(server.port).get("/")
    assert b"one" in client.sock.recv(4096)
    server.stop()
    assert notes == ["cancelled"]
    client.sock.close()


def test_a_pipelined_request_waits_for_the_end_of_the_stream(serve: Serve, transport: str) -> None:
    app = FastAPI()

    @app.get("/")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for n in range(5):
                await asyncio.sleep(0)
                yield b"%d" % n

        return StreamingResponse(parts())

    @app.get("/fine")
    async def fine() -> int:
        return 1

    server = serve(app, transport=transport)
    with Client(server.port) as client:
        client.get("/").get("/fine").get("/")
        assert [client.reply().body for _ in range(3)] == [b"01234", b"1", b"01234"]


def test_a_step_that_takes_its_time_holds_back_nothing_that_was_made(serve: Serve, transport: str, own: bool) -> None:
    app = FastAPI()
    go = threading.Event()

    @app.get("/")
    async def stream() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            yield b"one"
            yield b"two"
            assert go.wait(PATIENCE)
            yield b"three"

        return StreamingResponse(parts(), headers={"content-length": "11"})

    server = serve(through(app, own), transport=transport)
    with Client(server.port) as client:
        client.get("/")
        head = b""
        while not head.endswith(b"\r\n\r\nonetwo"):
            head += client.sock.recv(4096)
        go.set()
        assert client.sock.recv(100) == b"three"


def test_a_step_on_a_thread_is_finished_and_no_other_begun_for_a_client_that_left(
    serve: Serve, transport: str, own: bool
) -> None:
    """What comes after the stream comes after that step, as with AnyIO's threads."""
    from starlette.background import BackgroundTask

    app = FastAPI()
    notes = Notes()
    go = threading.Event()

    @app.get("/")
    async def stream() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            yield b"one"
            assert go.wait(PATIENCE)
            notes("step")
            yield b"two"
            notes("another")

        return StreamingResponse(parts(), background=BackgroundTask(notes, "background"))

    @app.get("/fine")
    async def fine() -> int:
        return 1

    server = serve(through(app, own), transport=transport)
    client = Client(server.port).get("/")
    read_until(client, b"one")
    client.leave("rst")
    eventually(lambda: server.stats()["connections"] == 0)
    assert get(server, "/fine").data == b"1"  # the loop has heard of it before this
    go.set()
    eventually(lambda: len(notes) == 2, lambda: str(notes))
    assert notes == ["step", "background"]
    eventually(lambda: server.stats()["in_flight"] == 0)


def test_a_stopped_server_ends_streams_of_threads(serve: Serve, transport: str) -> None:
    app = FastAPI()
    go = threading.Event()

    @app.get("/")
    async def stream() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            while not go.is_set():
                yield b"one"

        return StreamingResponse(parts())

    server = serve(app, transport=transport, timeout_stop=0.05)
    client = Client(server.port).get("/")
    try:
        read_until(client, b"one")
        server.stop()
        assert not server.started
    finally:
        go.set()
        client.sock.close()
