"""103 Early Hints through the ASGI extension `http.response.early_hint` (RFC 8297)."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from turboapi import Server


async def hints(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    assert "http.response.early_hint" in scope["extensions"]
    await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def answer(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        got = b""
        while chunk := connection.recv(65536):
            got += chunk
    return got


@pytest.mark.parametrize(
    ("version", "interim"),
    [
        (b"1.1", b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\n\r\n"),
        (b"1.0", b""),
    ],
)
def test_hints_go_before_the_answer_to_clients_that_know_them(transport: str, version: bytes, interim: bytes) -> None:
    with Server(hints, port=0, transport=transport, lifespan="off", access_log=False) as server:  # type: ignore[arg-type]
        got = answer(server.port, b"GET / HTTP/" + version + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert got.startswith(interim + b"HTTP/1.1 200 OK\r\n")
    assert got.endswith(b"\r\n\r\nok")
    assert got.count(b"link:") == 2 * bool(interim)
