"""One exchange, two threads: a `def` handler whose tasks on the loop go on with the request while it answers."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.from_thread
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

from tests.conftest import PATIENCE, eventually
from turboapi import Server

Serve = Callable[..., Server]


def application(heard: list[Any]) -> FastAPI:
    app = FastAPI()

    def listen(request: Request) -> None:
        """Start a task that reads the body, and do not wait for it."""

        async def read() -> None:
            try:
                heard.append(await request.body())
            except Exception as error:
                heard.append(type(error).__name__)

        async def start() -> None:
            task = asyncio.get_running_loop().create_task(read())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        tasks: set[Any] = set()
        anyio.from_thread.run(start)
        request.state.tasks = tasks

    @app.post("/whole/{n}")
    def whole(n: int, request: Request) -> dict[str, int]:
        return {"n": n, "size": len(anyio.from_thread.run(request.body))}

    @app.post("/leaves/{n}")
    def leaves(n: int, request: Request) -> dict[str, int]:
        listen(request)
        return {"n": n}

    @app.post("/raises/{n}")
    def raises(n: int, request: Request) -> None:
        listen(request)
        raise HTTPException(418, {"n": n})

    @app.post("/streams/{n}")
    def streams(n: int, request: Request) -> StreamingResponse:
        listen(request)
        return StreamingResponse(iter([f'{{"n":{n}', "}"]))

    return app


def ask(server: Server, path: str, n: int, pause: random.Random) -> tuple[int, bytes]:
    """Send a request whose body comes late and in pieces; return its answer's status and body."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(f"POST /{path}/{n} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 6\r\n\r\n".encode())
        waits = threading.Event()
        try:
            for piece in (b"ab", b"cd", b"ef"):
                waits.wait(pause.choice((0, 0, 0.0002, 0.001)))
                sock.sendall(piece)
            found = b""
            while piece := sock.recv(65536):
                found += piece
        except (BrokenPipeError, ConnectionResetError):
            return 0, b""  # answered before the body was there, which it did not wait for
    head, _, body = found.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize("path", ["whole", "leaves", "raises", "streams"])
def test_every_answer_is_right_once(serve: Serve, transport: str, loop_name: str, path: str) -> None:
    heard: list[Any] = []
    server = serve(application(heard), transport=transport, loop=loop_name)
    with ThreadPoolExecutor(12) as clients:
        asked = [clients.submit(ask, server, path, n, random.Random(n)) for n in range(240)]
        replies = [one.result() for one in asked]
    for n, (status, body) in enumerate(replies):
        if status == 0:
            assert path != "whole"
            continue
        expected: tuple[int, Any] = {
            "whole": (200, f'{{"n":{n},"size":6}}'),
            "leaves": (200, f'{{"n":{n}}}'),
            "raises": (418, f'{{"detail":{{"n":{n}}}}}'),
            "streams": (200, f'{{"n":{n}'),
        }[path]
        if path == "streams":
            assert (status, expected[1] in body.decode()) == (200, True)
        else:
            assert (status, body.decode()) == expected
    if path != "whole":
        eventually(lambda: len(heard) == 240, lambda: f"{len(heard)} of 240")
        if path != "streams":  # Starlette's StreamingResponse receives, too
            assert set(heard) <= {b"abcdef", "ClientDisconnect"}
    eventually(lambda: server.stats()["in_flight"] == 0)


def test_send_on_another_thread_is_refused(serve: Serve) -> None:
    app = FastAPI()

    @app.get("/")
    def root(request: Request) -> str:
        try:
            request._send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[unused-coroutine]
        except RuntimeError as error:
            return str(error)
        return "sent"

    server = serve(app)
    status, body = ask_get(server)
    assert (status, b"can only be called on the loop" in body) == (200, True)


def ask_get(server: Server) -> tuple[int, bytes]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        found = b""
        while piece := sock.recv(65536):
            found += piece
    head, _, body = found.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_loop_of_the_handlers_own_reads_a_body_that_is_there(serve: Serve, transport: str) -> None:
    app = FastAPI()

    @app.get("/")
    def root(request: Request) -> int:
        return len(asyncio.run(request.body()))

    assert ask_get(serve(app, transport=transport)) == (200, b"0")
