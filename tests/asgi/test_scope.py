"""The HTTP scope: key by key what uvicorn gives for the same bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.conftest import PATIENCE
from turboapi import Server

Serve = Callable[..., Server]


class Keeper:
    """An application that keeps every scope."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["shared"] = {"made": "at startup"}
            for _ in range(2):
                message = await receive()
                await send({"type": message["type"] + ".complete"})
            return
        self.scopes.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@contextlib.contextmanager
def on_uvicorn(app: Any, **settings: Any) -> Iterator[socket.socket]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, ws="none", log_config=None, access_log=False, **settings)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield listener
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()


def send(port: int, request: bytes) -> tuple[str, int]:
    """Send a request, read its answer to the end, and return our own address."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        address = sock.getsockname()
        sock.sendall(request)
        while sock.recv(65536):
            pass
        return address


CLOSE = b"Connection: close\r\n\r\n"

REQUESTS = {
    "plain": b"GET / HTTP/1.1\r\nHost: example.org\r\n" + CLOSE,
    "query": b"GET /a/b?x=1&y=%20+&x=2 HTTP/1.1\r\nHost: x\r\n" + CLOSE,
    "empty-query": b"GET /a? HTTP/1.1\r\nHost: x\r\n" + CLOSE,
    "question-marks": b"GET /a?b?c HTTP/1.1\r\nHost: x\r\n" + CLOSE,
    "percent": b"GET /caf%C3%A9%2Fau%20lait/%2e%2E HTTP/1.1\r\nHost: x\r\n" + CLOSE,
    "not-utf-8": b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n" + CLOSE,
    "slashes": b"GET //a//b/ HTTP/1.1\r\nHost: x\r\n" + CLOSE,
    "method": b"PROPFIND /x HTTP/1.1\r\nHost: x\r\n" + CLOSE,
    "custom-method": b"PURGE /x HTTP/1.1\r\nHost: x\r\n" + CLOSE,
    "options": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n" + CLOSE,
    "head": b"HEAD /x HTTP/1.1\r\nHost: x\r\n" + CLOSE,
    "http-1.0": b"GET /x HTTP/1.0\r\n\r\n",
    "headers": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-b:  two  words\r\nX-a: 2\r\nCookie: a=b\r\nCookie: c=d\r\n"
    b"X-Empty:\r\nX-Latin: caf\xe9\r\n" + CLOSE,
    "body": b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n" + CLOSE + b"hello",
}


@pytest.fixture(scope="module", params=["", "/api/v1"])
def on_the_other(request: pytest.FixtureRequest) -> Iterator[tuple[str, Keeper, socket.socket]]:
    """A root path, and an application and its listener that are served there by uvicorn."""
    theirs = Keeper()
    with on_uvicorn(theirs, http="httptools", root_path=request.param) as listener:
        yield request.param, theirs, listener


@pytest.mark.parametrize("name", REQUESTS)
def test_scope_is_uvicorns(
    serve: Serve, transport: str, name: str, on_the_other: tuple[str, Keeper, socket.socket]
) -> None:
    root_path, theirs, listener = on_the_other
    ours = Keeper()
    server = serve(ours, transport=transport, root_path=root_path)
    our_address = send(server.port, REQUESTS[name])
    theirs.scopes.clear()
    their_address = send(listener.getsockname()[1], REQUESTS[name])
    their_server = listener.getsockname()
    (mine,), (other,) = ours.scopes, theirs.scopes
    assert mine.pop("client") == our_address
    assert other.pop("client") == their_address
    assert mine.pop("server") == ("127.0.0.1", server.port)
    assert other.pop("server") == their_server
    # What a server can do beyond the protocol is its own.
    mine.pop("extensions", None)
    other.pop("extensions", None)
    assert mine.pop("asgi")["version"] == other.pop("asgi")["version"]
    assert mine == other
    assert {key: type(value) for key, value in mine.items()} == {key: type(value) for key, value in other.items()}


def test_types_inside_the_scope_are_the_protocols(serve: Serve, transport: str) -> None:
    keeper = Keeper()
    server = serve(keeper, transport=transport)
    send(server.port, REQUESTS["headers"])
    (scope,) = keeper.scopes
    assert type(scope["client"]) is type(scope["server"]) is tuple
    assert [type(part) for part in scope["client"] + scope["server"]] == [str, int, str, int]
    for pair in scope["headers"]:
        assert [type(part) for part in pair] == [bytes, bytes]
    assert scope["asgi"]["version"] == "3.0"


def test_state_is_the_lifespans_and_each_request_has_a_copy(serve: Serve, transport: str) -> None:
    keeper = Keeper()
    server = serve(keeper, transport=transport)
    send(server.port, REQUESTS["plain"])
    keeper.scopes[0]["state"]["mine"] = 1
    send(server.port, REQUESTS["plain"])
    first, second = (scope["state"] for scope in keeper.scopes)
    assert second == {"shared": {"made": "at startup"}}
    assert first["shared"] is second["shared"]


def test_scope_may_be_changed_by_the_application(serve: Serve, transport: str) -> None:
    keeper = Keeper()
    server = serve(keeper, transport=transport)
    for _ in range(2):
        send(server.port, REQUESTS["plain"])
        scope = keeper.scopes[-1]
        assert (scope["path"], scope["type"]) == ("/", "http")
        scope["path"] = scope["type"] = "changed"
        scope["headers"].clear()
        scope["asgi"]["version"] = "9"
    assert keeper.scopes[0]["headers"] is not keeper.scopes[1]["headers"]


def test_unix_socket_has_no_client_address(
    serve: Serve, transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper()
    monkeypatch.chdir(tmp_path)
    # As long as the kernel lets it be; a part of it would not be text.
    path = "a" + "é" * 53
    serve(keeper, transport=transport, uds=path)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(path)
        sock.sendall(REQUESTS["plain"])
        while sock.recv(65536):
            pass
    (scope,) = keeper.scopes
    assert scope["client"] is None
    assert scope["server"] == (path, None)
