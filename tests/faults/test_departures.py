"""Clients that leave, by a FIN or a reset, at every stage of a request: nothing stays behind, nobody else notices."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import Response, StreamingResponse

from tests.conftest import eventually, get
from tests.faults.client import Client
from tests.faults.gate import Gate, gated
from turboapi import Server

Serve = Callable[..., Server]
Connect = Callable[..., Client]

# What a client has sent when it leaves before its request is complete.
HALVES = {
    "nothing": b"",
    "an empty line": b"\r\n",
    "half a method": b"GE",
    "half a head": b"GET /fine HTTP/1.1\r\nhos",
    "all but the last byte": b"GET /fine HTTP/1.1\r\nhost: x\r\n\r",
    "head of a collected body": b"POST /loop HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"content-length: 100\r\n\r\n",
    "head of a collected body for the call lane": b"POST /call HTTP/1.1\r\nhost: x\r\n"
    b"content-type: application/json\r\ncontent-length: 100\r\n\r\n",
    "half a collected body": b"POST /loop HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b'content-length: 100\r\n\r\n{"text":',
    "half a chunk": b"POST /call HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b'transfer-encoding: chunked\r\n\r\nff\r\n{"text":',
    "half a chunk size": b"POST /loop HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"transfer-encoding: chunked\r\n\r\nf",
    "no last chunk": b"POST /loop HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b'transfer-encoding: chunked\r\n\r\nc\r\n{"text":"xx"\r\n',
    "half a trailer": b"POST /loop HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b'transfer-encoding: chunked\r\n\r\nd\r\n{"text":"xx"}\r\n0\r\nx-tra',
    "head that expects": b"POST /loop HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"expect: 100-continue\r\ncontent-length: 100\r\n\r\n",
    "head of a streamed body": b"POST /stream HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n",
    "half a streamed body": b"POST /stream HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf",
    "half a streamed chunk": b"POST /stream HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhalf",
    "the next request's half": b"GET /fine HTTP/1.1\r\nhost: x\r\n\r\nGET /fi",
}


def gone(server: Server) -> bool:
    stats = server.stats()
    return bool(stats["connections"] == stats["in_flight"] == stats["active"] == 0)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_half_a_request_leaves_nothing_behind(serve: Serve, connect: Connect, transport: str, how: str) -> None:
    gate = Gate()
    server = serve(gated(gate), transport=transport)
    for half in HALVES.values():
        for cut in {len(half), len(half) // 2}:
            before = server.stats()["accepted"]
            client = connect(server).send(half[:cut])
            eventually(lambda before=before: server.stats()["accepted"] > before)
            client.leave(how)
        # One that leaves before it can have been accepted.
        connect(server).send(half).leave(how)
    eventually(lambda: gone(server), lambda: str(server.stats()))
    eventually(lambda: gate.left == gate.entered)
    assert get(server, "/fine").data == b"1"
    assert server.stats()["responses_5xx"] == 0


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_half_a_request_that_is_seen_first_leaves_nothing_behind(
    serve: Serve, connect: Connect, transport: str, how: str
) -> None:
    """The server has read what there was, and waits, when the client leaves."""
    gate = Gate()
    server = serve(gated(gate), transport=transport)
    for half in HALVES.values():
        read = server.stats()["bytes_in"]
        client = connect(server).send(half)
        eventually(lambda read=read, half=half: server.stats()["bytes_in"] - read == len(half))
        client.leave(how)
    eventually(lambda: gone(server), lambda: str(server.stats()))
    eventually(lambda: gate.left == gate.entered)
    assert get(server, "/fine").data == b"1"


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("path", ["/loop", "/call", "/request", "/fallback/x"])
def test_client_gone_while_its_handler_runs(
    serve: Serve, connect: Connect, transport: str, how: str, path: str
) -> None:
    gate = Gate()
    server = serve(gated(gate), transport=transport)
    clients = [connect(server).get(path) for _ in range(5)]
    stays = connect(server).get(path)
    eventually(lambda: len(gate.entered) == 6)
    for client in clients:
        client.leave(how)
    if how == "rst":
        # It is noticed at once, and the connection is gone while the handler runs.
        eventually(lambda: server.stats()["connections"] == 1, lambda: str(server.stats()))
    assert server.stats()["in_flight"] == 6
    gate.open()
    assert stays.reply().status == 200
    stays.sock.close()
    eventually(lambda: gone(server), lambda: str(server.stats()))
    assert len(gate.left) == 6  # nobody was cancelled


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_client_gone_while_its_call_waits_for_a_thread(
    serve: Serve, connect: Connect, transport: str, how: str
) -> None:
    gate = Gate()
    server = serve(gated(gate), transport=transport, call_threads=1)
    first = connect(server).get("/call")
    eventually(lambda: gate.entered == ["call"])
    waiting = [connect(server).get("/call") for _ in range(10)]
    eventually(lambda: server.stats()["call_queued"] == 10)
    for client in waiting[:9]:
        client.leave(how)
    if how == "rst":
        eventually(lambda: server.stats()["connections"] == 2)
    gate.open()
    assert first.reply().body == waiting[9].reply().body == b'"call"'
    first.sock.close()
    waiting[9].sock.close()
    eventually(lambda: gone(server), lambda: str(server.stats()))


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("kind", ["stream", "large"])
def test_client_gone_in_the_middle_of_its_answer(
    serve: Serve, connect: Connect, transport: str, how: str, kind: str
) -> None:
    app = FastAPI()
    ended: list[str] = []

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 10_000
                await asyncio.sleep(0)
        finally:
            ended.append("stream")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(parts())

    @app.get("/large")
    def large() -> Response:
        return Response(b"x" * 30_000_000)

    server = serve(app, transport=transport)
    for _ in range(5):
        client = connect(server).get(f"/{kind}")
        assert client.sock.recv(1000)
        client.leave(how)
    eventually(lambda: gone(server), lambda: str(server.stats()))
    eventually(lambda: len(ended) == (5 if kind == "stream" else 0))


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_client_gone_between_pipelined_requests(serve: Serve, connect: Connect, transport: str, how: str) -> None:
    gate = Gate()
    server = serve(gated(gate), transport=transport)
    request = b"GET %s HTTP/1.1\r\nhost: x\r\n\r\n"
    clients = []
    for path in (b"/loop", b"/call", b"/request", b"/fallback/x"):
        client = connect(server).send(request % b"/fine" + request % path + 3 * (request % b"/fine"))
        assert client.reply().body == b"1"
        clients.append(client)
    eventually(lambda: len(gate.entered) == 4)
    for client in clients:
        client.leave(how)
    gate.open()
    eventually(lambda: gone(server), lambda: str(server.stats()))
    assert get(server, "/fine").data == b"1"


@pytest.mark.parametrize("path", ["/loop", "/call", "/request", "/fallback/x"])
def test_client_that_only_stops_sending_gets_its_slow_answer(
    serve: Serve, connect: Connect, transport: str, path: str
) -> None:
    gate = Gate()
    server = serve(gated(gate), transport=transport)
    client = connect(server).get(path).finish()
    eventually(lambda: len(gate.entered) == 1)
    eventually(lambda: server.stats()["gone"] == 1)  # the lanes have been told
    gate.open()
    assert client.reply().status == 200
    assert client.rest() == b""


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_response_to_a_client_that_is_gone_is_no_error(
    serve: Serve, connect: Connect, transport: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An application that goes on sending after http.disconnect is not told off, and does not wait."""
    gate = Gate()
    sent: list[int] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        await send({"type": "http.response.body"})
        sent.append(1)

    server = serve(application, transport=transport, lifespan="off")
    client = connect(server).get("/")
    eventually(lambda: server.stats()["in_flight"] == 1)
    client.leave(how)
    eventually(lambda: sent == [1])
    eventually(lambda: gone(server), lambda: str(server.stats()))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    gate.open()
