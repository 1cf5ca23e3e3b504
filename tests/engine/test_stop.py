"""Stopping: what runs finishes, within the limit; connections are told; nothing that was read is left unanswered."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse

from tests.conftest import PATIENCE, eventually, get
from turboapi import Server

Serve = Callable[..., Server]
Note = Callable[[str], None]


class Gate:
    """A handler waits in it until the test lets it go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.free = threading.Event()
        self.notes: list[str] = []

    async def pass_async(self) -> None:
        self.entered.set()
        try:
            while not self.free.is_set():
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            self.notes.append("cancelled")
            raise

    def pass_sync(self) -> None:
        self.entered.set()
        self.free.wait(PATIENCE)


def gated(gate: Gate) -> FastAPI:
    app = FastAPI()

    @app.get("/async")
    async def on_loop() -> str:
        await gate.pass_async()
        return "done"

    @app.get("/call")
    def on_thread() -> str:
        gate.pass_sync()
        return "done"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> Any:
            yield b"first "
            await gate.pass_async()
            yield b"last"

        return StreamingResponse(parts())

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> str:
        async def later() -> None:
            await gate.pass_async()
            gate.notes.append("later")

        tasks.add_task(later)
        return "done"

    return app


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Start `work` in a thread; calling the result waits for it, and returns or raises what it did."""
    outcome: list[Any] = []

    def main() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=main)
    thread.start()

    def result() -> Any:
        thread.join(2 * PATIENCE)
        assert outcome, "still running"
        value, error = outcome[0]
        if error is not None:
            raise error
        return value

    return result


@pytest.mark.parametrize("path", ["/async", "/call", "/stream"])
def test_running_request_is_finished(serve: Serve, transport: str, path: str) -> None:
    gate = Gate()
    server = serve(gated(gate), transport=transport)
    reply = in_thread(lambda: get(server, path))
    assert gate.entered.wait(PATIENCE)
    stop = in_thread(server.stop)
    eventually(lambda: refuses(server))
    gate.free.set()
    assert reply().data in (b'"done"', b"first last")
    stop()


def refuses(server: Server) -> bool:
    try:
        port = server.port
    except RuntimeError:
        return True
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except OSError:
        return True
    return False


def test_background_work_is_finished(serve: Serve, transport: str) -> None:
    gate = Gate()
    server = serve(gated(gate), transport=transport)
    assert get(server, "/background").data == b'"done"'
    assert gate.entered.wait(PATIENCE)
    stop = in_thread(server.stop)
    gate.free.set()
    stop()
    assert gate.notes == ["later"]


def test_answer_while_stopping_closes_the_connection(serve: Serve, transport: str) -> None:
    gate = Gate()
    server = serve(gated(gate), transport=transport)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request("GET", "/async")
    assert gate.entered.wait(PATIENCE)
    stop = in_thread(server.stop)
    eventually(lambda: refuses(server))
    gate.free.set()
    reply = connection.getresponse()
    assert reply.read() == b'"done"'
    assert reply.getheader("connection") == "close"
    connection.close()
    stop()


def test_idle_connections_are_closed_at_once(serve: Serve, transport: str) -> None:
    server = serve(gated(Gate()), transport=transport)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as idle:
        idle.sendall(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 404")
        began = time.monotonic()
        server.stop()
        assert idle.recv(65536) == b""
        assert time.monotonic() - began < PATIENCE / 3  # and not the half of it that running requests get


def test_half_a_request_does_not_hold_up_the_stop(serve: Serve, transport: str) -> None:
    server = serve(gated(Gate()), transport=transport, timeout_stop=0.5)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as half:
        half.sendall(b"GET /async HTTP/1.1\r\nho")
        eventually(lambda: server.stats()["active"] == 1)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < PATIENCE


def test_request_that_takes_too_long_is_cancelled(
    serve: Serve, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    server = serve(gated(gate), transport=transport, timeout_stop=0.1)
    reply = in_thread(lambda: get(server, "/async"))
    assert gate.entered.wait(PATIENCE)
    server.stop()
    assert gate.notes == ["cancelled"]
    assert "they are cut off" in caplog.text
    try:
        assert reply().status >= 500
    except (http.client.HTTPException, OSError):
        pass  # or the connection was closed


@pytest.mark.usefixtures("short_unwind")
def test_call_that_hangs_does_not_hold_up_the_stop(
    serve: Serve, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    server = serve(gated(gate), transport=transport, timeout_stop=0.1)
    reply = in_thread(lambda: get(server, "/call"))
    assert gate.entered.wait(PATIENCE)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < PATIENCE - 2
    assert "did not end" in caplog.text
    with pytest.raises((http.client.HTTPException, OSError)):
        reply()
    gate.free.set()  # its late answer meets a server that is gone
    eventually(lambda: not any(thread.name.startswith("turboapi-call") for thread in threading.enumerate()))


def test_lifespan_ends_after_the_last_request(serve: Serve, transport: str) -> None:
    gate = Gate()
    inner = gated(gate)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                message = await receive()
                gate.notes.append(message["type"])
                await send({"type": message["type"] + ".complete"})
            return
        await inner(scope, receive, send)
        gate.notes.append("request")

    server = serve(app, transport=transport)
    reply = in_thread(lambda: get(server, "/async"))
    assert gate.entered.wait(PATIENCE)
    stop = in_thread(server.stop)
    gate.free.set()
    reply()
    stop()
    assert gate.notes == ["lifespan.startup", "request", "lifespan.shutdown"]


@pytest.mark.parametrize("path", ["/async", "/late", "/call"])
@pytest.mark.parametrize("asked", [SystemExit, KeyboardInterrupt])
def test_exit_of_a_handler_stops_the_server_and_is_raised(
    serve: Serve, transport: str, path: str, asked: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.sleep(0)
        closed.append(True)

    closed: list[bool] = []
    app = FastAPI(lifespan=lifespan)

    @app.get("/async")
    async def on_loop() -> None:
        raise asked("enough")

    @app.get("/late")
    async def later() -> None:
        await asyncio.sleep(0)
        raise asked("enough")

    @app.get("/call")
    def on_thread() -> None:
        raise asked("enough")

    server = Server(app, port=0, transport=transport)  # type: ignore[arg-type]
    server.start()
    try:
        get(server, path)
    except (http.client.HTTPException, OSError):
        pass  # a 500 or a closed connection: the promise is about the process
    eventually(lambda: not server.started)
    with pytest.raises(asked, match="enough"):
        server.stop()
    assert closed == [True]
    assert "GET" in caplog.text
    assert path in caplog.text
