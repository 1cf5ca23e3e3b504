"""Clients that read or write slowly: what they make wait is their own handler, and no memory fills meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, Response, StreamingResponse

from tests.conftest import PATIENCE, eventually
from tests.faults.client import Client
from turboapi import Server

Serve = Callable[..., Server]
Connect = Callable[..., Client]

PART = 50_000
PARTS = 1000
MEGABYTE = 1 << 20


def part(n: int) -> bytes:
    return b"%09d\n" % n * (PART // 10)


def streaming(produced: list[int], path: Path | None = None) -> FastAPI:
    app = FastAPI()

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for n in range(PARTS):
                produced.append(n)
                yield part(n)

        return StreamingResponse(parts())

    @app.get("/def")
    def from_thread() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            for n in range(PARTS):
                produced.append(n)
                yield part(n)

        return StreamingResponse(parts(), headers={"content-length": str(PART * PARTS)})

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for n in range(PARTS):
            produced.append(n)
            await send({"type": "http.response.body", "body": part(n), "more_body": True})
        await send({"type": "http.response.body"})

    app.mount("/raw", raw)

    @app.get("/file")
    async def file() -> FileResponse:
        assert path is not None
        return FileResponse(path)

    @app.get("/fine")
    async def fine() -> int:
        return 1

    @app.get("/call")
    def call() -> int:
        return 1

    return app


def resident() -> int:
    """Return this process's memory in bytes; 0 where a sanitizer keeps what was freed."""
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        return 0
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def stalled(produced: list[int], other: Client) -> int:
    """Return how many parts were made when no more are, although the loop goes round."""
    seen, rounds = -1, 0
    while rounds < 30:
        assert other.get("/fine").reply().body == b"1"
        assert other.get("/call").reply().body == b"1"
        rounds = rounds + 1 if len(produced) == seen else 0
        seen = len(produced)
    return seen


@pytest.mark.parametrize("path", ["/stream", "/def", "/raw/x"])
@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_slow_reader_of_fifty_megabytes_stops_the_generator(
    serve: Serve, connect: Connect, transport: str, loop_name: str, path: str, family: str, tmp_path: Path
) -> None:
    produced: list[int] = []
    uds = str(tmp_path / "s") if family == "unix" else None
    server = serve(streaming(produced), transport=transport, loop=loop_name, uds=uds)
    other = connect(server)
    assert other.get("/fine").reply().status == 200
    before = resident()
    client = connect(server, receive_buffer=65536).get(path)
    n = stalled(produced, other)
    # What the kernel and the engine hold; the rest is not made yet.
    assert 0 < n * PART < 12 * MEGABYTE
    assert resident() - before < 20 * MEGABYTE
    body = client.reply().body
    assert len(body) == PART * PARTS
    assert body[: 2 * PART] == part(0) + part(1)
    assert body[-PART:] == part(PARTS - 1)
    assert len(produced) == PARTS


def test_many_slow_readers_at_once(serve: Serve, connect: Connect, transport: str) -> None:
    produced: list[int] = []
    server = serve(streaming(produced), transport=transport)
    other = connect(server)
    before = resident()
    clients = [connect(server, receive_buffer=4096).get("/raw/x") for _ in range(30)]
    n = stalled(produced, other)
    assert n < 30 * PARTS / 2
    assert resident() - before < 40 * MEGABYTE
    for client in clients[:25]:
        client.leave("rst")
    # The others go on where they were.
    for client in clients[25:]:
        with contextlib.suppress(EOFError):
            for _ in range(50):
                assert client.sock.recv(65536)
        client.leave("fin")
    eventually(lambda: server.stats()["in_flight"] == 0, lambda: str(server.stats()))


def test_slow_reader_of_a_large_body_and_of_a_file(
    serve: Serve, connect: Connect, transport: str, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"".join(part(n) for n in range(PARTS // 5)))
    app = streaming([], path)
    body = path.read_bytes()

    @app.get("/large")
    def large() -> Response:
        return Response(body)

    server = serve(app, transport=transport)
    clients = [connect(server, receive_buffer=65536).get(path) for path in ("/large", "/file") * 3]
    other = connect(server)
    for _ in range(20):
        assert other.get("/fine").reply().body == b"1"
        assert other.get("/call").reply().body == b"1"
    for client in clients:
        assert client.reply().body == body


def test_reader_that_takes_nothing_is_cut_off_and_its_handler_told(
    serve: Serve, connect: Connect, transport: str
) -> None:
    produced: list[int] = []
    server = serve(streaming(produced), transport=transport, timeout_write=0.3)
    client = connect(server, receive_buffer=4096).get("/stream")
    eventually(lambda: server.stats()["timeouts"] == 1, lambda: str(server.stats()))
    eventually(lambda: server.stats()["in_flight"] == server.stats()["connections"] == 0, lambda: str(server.stats()))
    assert not client.rest().endswith(b"0\r\n\r\n")
    assert len(produced) < PARTS


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("kind", ["response", "raw"])
def test_stream_that_never_rests_holds_up_nobody(
    serve: Serve, connect: Connect, transport: str, loop_name: str, how: str, kind: str
) -> None:
    """An endless generator that awaits nothing but send: neither a fast reader nor one that is gone keeps the loop."""
    app = streaming([])
    ended: list[str] = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            ended.append("response")

    @app.get("/response")
    async def response() -> StreamingResponse:
        return StreamingResponse(endless())

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        watch = asyncio.ensure_future(gone(receive, asyncio.current_task()))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
        except asyncio.CancelledError:
            ended.append("raw")
        watch.cancel()

    async def gone(receive: Any, task: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        task.cancel()

    app.mount("/raw-endless", raw)
    server = serve(app, transport=transport, loop=loop_name, timeout_stop=0.1)
    client = connect(server).get("/raw-endless/" if kind == "raw" else "/response")
    other = connect(server)
    answers = 0
    other.get("/fine")
    while answers < 20:  # as fast as it can, while the other one waits for its answer
        assert client.sock.recv(1 << 20)
        if other.answered():
            assert other.reply().body == b"1"
            answers += 1
            other.get("/call")
    client.leave(how)
    assert other.reply().body == b"1"
    eventually(lambda: server.stats()["in_flight"] == 0, lambda: str(server.stats()))
    gc.collect()  # a generator that was left alone is closed when it is collected
    eventually(lambda: ended == [kind])
    for path in ("/fine", "/call"):
        assert other.get(path).reply().body == b"1"


def test_slow_writer_of_an_upload(serve: Serve, connect: Connect, transport: str) -> None:
    app = streaming([])

    @app.post("/read")
    async def read(request: Request) -> int:
        size = 0
        async for piece in request.stream():
            size += len(piece)
        return size

    @app.post("/body")
    def body(request: Request, q: int = 0) -> int:
        return q

    @app.post("/model")
    def model(text: list[int]) -> int:
        return sum(text)

    server = serve(app, transport=transport)
    other = connect(server)
    sent = b"[" + b"1," * 499 + b"1]"
    uploads = {
        connect(server): (b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n" + b"x" * 1001, b"1001"),
        connect(server): (
            b"POST /read HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            + b"1\r\nx\r\n" * 170
            + b"0\r\n\r\n",
            b"170",
        ),
        connect(server): (
            b"POST /model HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1001\r\n\r\n" + sent,
            b"500",
        ),
        connect(server): (b"POST /body?q=3 HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n" + b"x" * 1001, b"3"),
    }
    for at in range(0, 1200, 3):
        for client, (data, _) in uploads.items():
            client.send(data[at : at + 3])
        assert other.get("/fine").reply().body == b"1"
    for client, (_, answer) in uploads.items():
        reply = client.reply()
        assert (reply.status, reply.body) == (200, answer)


def test_handler_that_does_not_read_stops_the_client(serve: Serve, connect: Connect, transport: str) -> None:
    app = streaming([])
    go_on = threading.Event()

    @app.post("/late")
    async def late(request: Request) -> int:
        while not go_on.is_set():
            await asyncio.sleep(0.001)
        size = 0
        async for piece in request.stream():
            size += len(piece)
        return size

    server = serve(app, transport=transport)
    other = connect(server)
    before = resident()
    client = connect(server).send(b"POST /late HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (100 * MEGABYTE))
    client.sock.settimeout(0)
    sent, rounds = 0, 0
    piece = b"x" * MEGABYTE
    while rounds < 30:
        try:
            sent += client.sock.send(piece)
            rounds = 0
        except BlockingIOError:
            rounds += 1
        assert other.get("/fine").reply().body == b"1"
    assert sent < 40 * MEGABYTE  # what the kernel holds
    assert resident() - before < 10 * MEGABYTE
    client.sock.settimeout(PATIENCE)
    go_on.set()
    left = 100 * MEGABYTE - sent
    while left:
        left -= client.sock.send(piece[: min(left, MEGABYTE)])
    assert client.reply().body == b"%d" % (100 * MEGABYTE)


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_client_that_asks_and_does_not_read_is_stopped(
    serve: Serve, connect: Connect, transport: str, family: str, tmp_path: Path
) -> None:
    """Pipelining without end: neither requests nor answers pile up, and later every request has its answer."""
    uds = str(tmp_path / "s") if family == "unix" else None
    server = serve(streaming([]), transport=transport, uds=uds, access_log=False)
    other = connect(server)
    assert other.get("/fine").reply().status == 200
    before = resident()
    client = connect(server, receive_buffer=65536)
    one = b"GET /fine HTTP/1.1\r\nhost: x\r\nx-pad: " + b"p" * 400 + b"\r\n\r\n"
    two = one.replace(b"/fine", b"/call")
    client.sock.settimeout(0)
    sent, rounds = 0, 0
    data = (one + two) * 100
    while rounds < 50:
        try:
            sent += client.sock.send(data[sent % len(data) :])
            rounds = 0
        except BlockingIOError:
            rounds += 1
        assert other.get("/fine").reply().body == b"1"
    assert resident() - before < 20 * MEGABYTE
    client.sock.settimeout(PATIENCE)
    asked = sent // len(one)
    for _ in range(asked):
        assert client.reply().body == b"1"
    if sent % len(one):
        client.send(data[sent % len(data) :][: len(one) - sent % len(one)])
        assert client.reply().body == b"1"
    assert asked > 100


def test_response_that_is_begun_while_the_body_still_comes(serve: Serve, connect: Connect, transport: str) -> None:
    """Both directions at once, both slow: an echo of more than all buffers hold."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    server = serve(echo, transport=transport, lifespan="off")
    client = connect(server).send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (20 * MEGABYTE))

    def write() -> None:
        for n in range(20):
            client.send(bytes([n]) * MEGABYTE)

    writer = threading.Thread(target=write)
    writer.start()
    body = client.reply().body
    writer.join()
    assert body == b"".join(bytes([n]) * MEGABYTE for n in range(20))
    assert isinstance(client.sock, socket.socket)
