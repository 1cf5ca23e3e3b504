"""What goes on after an answer: free connections, clients that leave, servers that wait, ends beyond the limit."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.background import BackgroundTask

from tests.conftest import PATIENCE, eventually
from turboapi import Server

Serve = Callable[..., Server]


class Work:
    """Work after the answer, which a test holds up: sync and async tasks, sync and async dependencies."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.free = threading.Event()
        self.done = threading.Event()

    def sync(self) -> None:
        self.begun.set()
        assert self.free.wait(PATIENCE)
        self.done.set()

    async def coroutine(self) -> None:
        self.begun.set()
        while not self.free.is_set():
            await asyncio.sleep(0.001)
        self.done.set()

    def dependency(self) -> Iterator[None]:
        yield
        self.sync()

    async def async_dependency(self) -> AsyncIterator[None]:
        yield
        await self.coroutine()


KINDS = ("sync task", "async task", "sync end", "async end", "sync own", "async own", "sync stream", "async stream")


def application(work: Work, kind: str, *, threaded: bool) -> FastAPI:
    app = FastAPI()
    task = work.sync if kind.startswith("sync") else work.coroutine
    ends = {"sync end": [Depends(work.dependency)], "async end": [Depends(work.async_dependency)]}.get(kind, [])

    def endpoint(tasks: BackgroundTasks) -> str:
        if not ends:
            tasks.add_task(task)
        return "answered"

    async def async_endpoint(tasks: BackgroundTasks) -> str:
        return endpoint(tasks)

    def own() -> Response:
        """A response that brings its own work, and a stream that does."""
        background = BackgroundTask(task)
        if kind.endswith("stream"):
            return StreamingResponse(iter(['"answered"']), background=background)
        return JSONResponse("answered", background=background)

    async def async_own() -> Response:
        return own()

    if kind.endswith(("own", "stream")):
        app.get("/")(own if threaded else async_own)
    else:
        app.get("/", dependencies=ends)(endpoint if threaded else async_endpoint)
    app.get("/free")(lambda: work.free.set())
    return app


def skip_where_ends_come_first(kind: str) -> None:
    from turboapi.plan import internals

    if kind.endswith("end") and internals.late_errors_after_exits():
        pytest.skip("in this FastAPI dependencies end before the answer")


def ask(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    return connection.getresponse().read()


@pytest.mark.parametrize("threaded", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_connection_is_free_for_the_next_request(serve: Serve, transport: str, kind: str, threaded: bool) -> None:
    skip_where_ends_come_first(kind)
    work = Work()
    server = serve(application(work, kind, threaded=threaded), transport=transport)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    assert ask(connection, "/") == b'"answered"'
    assert work.begun.wait(PATIENCE)
    assert not work.done.is_set()
    assert ask(connection, "/free") == b"null"
    assert work.done.wait(PATIENCE)
    assert server.stats()["fallbacks"] == 0
    connection.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_leaves_ends_nothing(serve: Serve, transport: str, kind: str) -> None:
    skip_where_ends_come_first(kind)
    work = Work()
    server = serve(application(work, kind, threaded=False), transport=transport)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        assert work.begun.wait(PATIENCE)
    eventually(lambda: server.stats()["connections"] == 0, server.stats)
    work.free.set()
    assert work.done.wait(PATIENCE)


@pytest.mark.parametrize(
    ("kind", "threaded"), [*((kind, True) for kind in KINDS), ("sync task", False), ("sync own", False)]
)
def test_a_server_that_stops_waits(serve: Serve, transport: str, kind: str, threaded: bool) -> None:
    skip_where_ends_come_first(kind)
    work = Work()
    server = serve(application(work, kind, threaded=threaded), transport=transport)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    assert ask(connection, "/") == b'"answered"'
    connection.close()
    assert work.begun.wait(PATIENCE)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    assert not work.done.is_set()
    work.free.set()
    stopping.join(PATIENCE)
    assert work.done.is_set()
    assert not stopping.is_alive()


def gated_tasks(work: Work) -> tuple[FastAPI, list[int]]:
    """An `async def` route whose sync task waits for the test, and the numbers of those that have begun."""
    app, begun = FastAPI(), []

    def task(number: int) -> None:
        begun.append(number)
        work.sync()

    @app.get("/{number}")
    async def endpoint(number: int, tasks: BackgroundTasks) -> int:
        tasks.add_task(task, number)
        return number

    return app, begun


def test_tasks_wait_for_a_thread_and_their_answers_do_not(serve: Serve, transport: str) -> None:
    """Nor are they refused: what a call would be beyond `call_queue`."""
    work = Work()
    app, begun = gated_tasks(work)
    server = serve(app, transport=transport, call_threads=1, call_queue=1)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    assert ask(connection, "/0") == b"0"
    assert work.begun.wait(PATIENCE)
    assert [ask(connection, f"/{number}") for number in range(1, 5)] == [b"1", b"2", b"3", b"4"]
    eventually(lambda: server.stats()["call_queued"] == 4, server.stats)
    assert begun == [0]
    work.free.set()
    eventually(lambda: server.stats()["in_flight"] == 0, server.stats)
    assert begun == [0, 1, 2, 3, 4]
    assert server.stats()["call_refused"] == server.stats()["fallbacks"] == 0
    connection.close()


@pytest.mark.usefixtures("short_unwind")
def test_a_server_that_may_not_wait_tells_which_tasks_were_not_begun(
    serve: Serve, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work()
    app, begun = gated_tasks(work)
    server = serve(app, transport=transport, call_threads=1, timeout_stop=0.05)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    assert ask(connection, "/0") == b"0"
    assert work.begun.wait(PATIENCE)
    assert ask(connection, "/1") == b"1"
    eventually(lambda: server.stats()["call_queued"] == 1, server.stats)
    connection.close()
    server.stop()
    assert "GET /1: background tasks were not begun" in caplog.text
    work.free.set()
    eventually(lambda: not any(thread.name.startswith("turboapi-call") for thread in threading.enumerate()))
    assert begun == [0]


def test_no_limit_holds_back_what_others_wait_for(serve: Serve, transport: str) -> None:
    """The only thread waits for what a dependency gives back at its end."""
    app = FastAPI()
    freed, waiting, leave = threading.Event(), threading.Event(), threading.Event()

    def resource() -> Iterator[None]:
        yield
        freed.set()

    @app.get("/holds")
    async def holds(_: Any = Depends(resource)) -> str:
        while not leave.is_set():
            await asyncio.sleep(0.001)
        return "held"

    @app.get("/waits")
    def waits() -> bool:
        waiting.set()
        return freed.wait(PATIENCE)

    server = serve(app, transport=transport, call_threads=1)
    one, two = (http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE) for _ in range(2))
    one.request("GET", "/holds")
    eventually(lambda: server.stats()["calls"] == 1, server.stats)
    two.request("GET", "/waits")
    assert waiting.wait(PATIENCE)
    leave.set()
    assert two.getresponse().read() == b"true"
    assert one.getresponse().read() == b'"held"'
    one.close()
    two.close()


def test_many_hops_at_once_keep_to_the_limit(serve: Serve, transport: str) -> None:
    app = FastAPI()
    lock, inside, most = threading.Lock(), 0, 0

    async def first() -> None:
        await asyncio.sleep(0)

    def second() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.002)
        with lock:
            inside -= 1

    @app.get("/", dependencies=[Depends(first), Depends(second)])
    async def read() -> str:
        return "ok"

    server = serve(app, transport=transport, call_threads=3)

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        for _ in range(10):
            assert ask(connection, "/") == b'"ok"'
        connection.close()

    clients = [threading.Thread(target=client) for _ in range(12)]
    for each in clients:
        each.start()
    for each in clients:
        each.join(PATIENCE)
    assert server.stats()["fallbacks"] == 0
    assert 1 < most <= 3
