"""Every limit and timeout that can be set is in force, on real sockets."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request

from tests.conftest import PATIENCE, ask, eventually, get, talk
from turboapi import Server

Serve = Callable[..., Server]


def shop() -> FastAPI:
    app = FastAPI()

    @app.get("/{name}")
    async def item(name: str) -> str:
        return name

    @app.post("/")
    async def buffered(body: dict[str, Any]) -> int:
        return len(body)

    @app.put("/")
    async def streamed(request: Request) -> int:
        return sum([len(piece) async for piece in request.stream()])

    return app


def request(target: str = "/x", *fields: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "host: x", "connection: close", *fields, "", ""]).encode()


def refusal(reply: bytes) -> tuple[int, Any]:
    """Return status and JSON of a refusal, which closes the connection."""
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    ("setting", "fits", "exceeds", "status"),
    [
        ({"limit_request_line": 300}, request("/" + "a" * 250), request("/" + "a" * 300), 414),
        ({"limit_headers": 300}, request("/x", "x-a: " + "a" * 200), request("/x", "x-a: " + "a" * 300), 431),
        ({"limit_fields": 5}, request("/x", *["x-a: 1"] * 3), request("/x", *["x-a: 1"] * 4), 431),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_request_head_beyond_a_limit_is_refused(
    serve: Serve, transport: str, setting: dict[str, int], fits: bytes, exceeds: bytes, status: int
) -> None:
    server = serve(shop(), transport=transport, **setting)
    assert talk(server, fits).startswith(b"HTTP/1.1 200 ")
    found, body = refusal(talk(server, exceeds))
    assert (found, list(body)) == (status, ["detail"])


def test_buffered_body_beyond_the_limit_is_refused_and_a_streamed_one_is_not(serve: Serve, transport: str) -> None:
    server = serve(shop(), transport=transport, limit_body=1000)
    small, large = json.dumps({"a": "x" * 900}).encode(), json.dumps({"a": "x" * 1000}).encode()
    headers = {"content-type": "application/json"}
    assert ask(server, "POST", body=small, headers=headers).data == b"1"
    assert ask(server, "POST", body=large, headers=headers).status == 413
    assert ask(server, "PUT", body=b"x" * 5000).data == b"5000"


def test_body_that_is_too_large_is_refused_before_it_is_sent(serve: Serve, transport: str) -> None:
    server = serve(shop(), transport=transport, limit_body=1000)
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n"
    assert refusal(talk(server, head))[0] == 413


def test_connections_beyond_the_limit_wait(serve: Serve, transport: str) -> None:
    server = serve(shop(), transport=transport, limit_connections=2)
    held = [socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) for _ in range(2)]
    eventually(lambda: server.stats()["connections"] == 2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as third:
        third.sendall(request())
        third.settimeout(0.2)
        with pytest.raises(TimeoutError):
            third.recv(1)
        held.pop().close()
        third.settimeout(PATIENCE)
        assert third.recv(65536).startswith(b"HTTP/1.1 200 ")
    held.pop().close()


@pytest.mark.parametrize("begun", [b"", b"GET /x HT", b"GET /x HTTP/1.1\r\nhost: x\r\n"])
def test_head_that_does_not_come_is_cut_off(serve: Serve, transport: str, begun: bytes) -> None:
    server = serve(shop(), transport=transport, timeout_header=0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(begun)
        reply = b""
        while piece := sock.recv(65536):
            reply += piece
        assert reply == b"" or reply.startswith(b"HTTP/1.1 408 ")


def test_idle_connection_is_closed(serve: Serve, transport: str) -> None:
    # Longer than this test may be kept from its processor between two requests.
    server = serve(shop(), transport=transport, timeout_idle=1.5)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        for _ in range(2):
            sock.sendall(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n")
            assert sock.recv(65536).endswith(b'"x"')
        assert sock.recv(65536) == b""


def test_client_that_takes_nothing_is_cut_off(serve: Serve, transport: str) -> None:
    ended: list[BaseException | None] = []

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            if (await is_gone(receive)) is True:
                break
        ended.append(None)

    async def is_gone(receive: Any) -> bool:
        import asyncio

        try:
            async with asyncio.timeout(0):
                return bool((await receive())["type"] == "http.disconnect")
        except TimeoutError:
            return False

    server = serve(flood, transport=transport, timeout_write=0.3, lifespan="off")
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(request())
        eventually(lambda: len(ended) == 1)
        eventually(lambda: server.stats()["connections"] == 0)
    assert time.monotonic() - began < PATIENCE


def test_bodies_beyond_the_memory_are_refused_until_there_is_some(serve: Serve, transport: str) -> None:
    server = serve(shop(), transport=transport, limit_memory=2_000_000)
    headers = {"content-type": "application/json"}
    small, large = (json.dumps({"a": "x" * size}).encode() for size in (1_200_000, 3_000_000))
    assert ask(server, "POST", body=small, headers=headers).data == b"1"
    refused = ask(server, "POST", body=large, headers=headers)
    assert (refused.status, refused.getheader("retry-after")) == (503, "1")
    assert json.loads(refused.data) == {"detail": "Too much memory is taken by requests and answers"}
    half = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1500000\r\n\r\n"
    eventually(lambda: server.stats()["held"] == 0)  # an answer is here a moment before its request's memory is free
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(half + b"x" * 1_400_000)
        eventually(lambda: server.stats()["held"] >= 1_400_000)
        assert ask(server, "POST", body=small, headers=headers).status == 503
        # What does not have to be buffered goes on.
        assert ask(server, "PUT", body=large).data == b"%d" % len(large)
        assert ask(server, "POST", body=b"{}", headers=headers).data == b"0"
        assert get(server, "/y").data == b'"y"'
    eventually(lambda: server.stats()["held"] == 0)
    assert ask(server, "POST", body=small, headers=headers).data == b"1"
    assert server.stats()["refusals"]["503"] == 2


def test_no_limit_on_buffered_bodies(serve: Serve, transport: str) -> None:
    server = serve(shop(), transport=transport, limit_body=None)
    body = json.dumps({"a": "x" * 3_000_000}).encode()
    assert ask(server, "POST", body=body, headers={"content-type": "application/json"}).data == b"1"
    assert get(server, "/y").data == b'"y"'
