"""`def` handlers: named threads, AnyIO in them, limits, and what happens beyond these."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from fastapi import Depends, FastAPI

from tests.conftest import PATIENCE, eventually, get
from turboapi import Server
from turboapi.engine import anyio_worker, calls

Serve = Callable[..., Server]


def call_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("turboapi-call-")]


@asynccontextmanager
async def two_threads(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = 2
    yield


def waiting(free: threading.Event, entered: list[int]) -> FastAPI:
    app = FastAPI()

    @app.get("/wait")
    def wait() -> str:
        entered.append(1)
        free.wait(PATIENCE)
        return threading.current_thread().name

    @app.get("/now")
    async def now() -> int:
        return 1

    return app


def test_handlers_run_on_named_daemon_threads_of_the_server(serve: Serve, transport: str, loop_name: str) -> None:
    app = FastAPI()

    @app.get("/")
    def root() -> list[Any]:
        thread = threading.current_thread()
        return [thread.name, thread.daemon, thread is threading.main_thread()]

    server = serve(app, transport=transport, loop=loop_name)
    assert get(server).data == b'["turboapi-call-1",true,false]'
    server.stop()
    assert call_threads() == []


def test_async_handlers_run_on_the_loops_thread(serve: Serve, transport: str, loop_name: str) -> None:
    app = FastAPI()
    seen: set[tuple[int, int]] = set()

    async def dependency() -> None:
        seen.add((threading.get_ident(), id(asyncio.get_running_loop())))

    @app.get("/", dependencies=[Depends(dependency)])
    async def root() -> None:
        seen.add((threading.get_ident(), id(asyncio.get_running_loop())))
        await asyncio.sleep(0)
        seen.add((threading.get_ident(), id(asyncio.get_running_loop())))

    server = serve(app, transport=transport, loop=loop_name)
    for _ in range(5):
        assert get(server).status == 200
    assert len(seen) == 1


def test_no_call_thread_begins_with_an_import(serve: Serve, transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look like a call that hangs, and others would be started to wait for the same import."""
    importers = []

    def noted(name: str) -> Any:
        importers.append(threading.current_thread().name)
        return importlib.import_module(name)

    monkeypatch.setattr(anyio_worker, "importlib", SimpleNamespace(import_module=noted))
    app = FastAPI()

    @app.get("/")
    def root() -> None: ...

    assert get(serve(app, transport=transport)).status == 200
    assert importers
    assert not any(name.startswith("turboapi-call") for name in importers)


def test_threads_grow_to_the_limit_and_the_rest_waits_in_order(serve: Serve, transport: str) -> None:
    free, entered = threading.Event(), []
    server = serve(waiting(free, entered), transport=transport, call_threads=3)
    with ThreadPoolExecutor(8) as clients:
        replies = [clients.submit(get, server, "/wait") for _ in range(8)]
        eventually(lambda: len(entered) == 3 and server.stats()["call_queued"] == 5, lambda: str(server.stats()))
        assert get(server, "/now").status == 200  # the loop is not held up
        free.set()
        assert {reply.result().status for reply in replies} == {200}
        assert len(call_threads()) <= 3


def test_calls_beyond_the_queue_are_refused_with_retry_after(serve: Serve, transport: str) -> None:
    free, entered = threading.Event(), []
    server = serve(waiting(free, entered), transport=transport, call_threads=1, call_queue=2)
    with ThreadPoolExecutor(3) as clients:
        replies = [clients.submit(get, server, "/wait")]
        eventually(lambda: len(entered) == 1)
        replies += [clients.submit(get, server, "/wait") for _ in range(2)]
        eventually(lambda: len(entered) == 1 and server.stats()["call_queued"] == 2, lambda: str(server.stats()))
        refused = get(server, "/wait")
        assert refused.status == 503
        assert int(refused.getheader("retry-after") or 0) >= 1
        free.set()
        assert {reply.result().status for reply in replies} == {200}


def test_limit_that_the_application_gives_anyio_is_the_lanes(serve: Serve, transport: str) -> None:
    free, entered = threading.Event(), []
    app = waiting(free, entered)
    app.router.lifespan_context = two_threads
    server = serve(app, transport=transport)
    assert server.stats()["call_limit"] == 2
    with ThreadPoolExecutor(4) as clients:
        replies = [clients.submit(get, server, "/wait") for _ in range(4)]
        eventually(lambda: len(entered) == 2 and server.stats()["call_queued"] == 2, lambda: str(server.stats()))
        free.set()
        assert {reply.result().status for reply in replies} == {200}


def test_limit_may_change_while_the_server_runs(serve: Serve) -> None:
    app = FastAPI()

    @app.get("/{total}")
    async def change(total: int) -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = total

    server = serve(app)
    assert server.stats()["call_limit"] == 256
    get(server, "/9")
    eventually(lambda: server.stats()["call_limit"] == 9)


def test_setting_goes_before_the_applications_limit(serve: Serve) -> None:
    assert serve(FastAPI(lifespan=two_threads), call_threads=5).stats()["call_limit"] == 5


def test_anyio_from_thread_works_in_handlers_and_dependencies(serve: Serve, transport: str, loop_name: str) -> None:
    app = FastAPI()
    var = contextvars.ContextVar("var", default="unset")

    async def ident() -> int:
        await anyio.sleep(0)
        return threading.get_ident()

    def dependency() -> int:
        return anyio.from_thread.run(ident)

    @app.get("/run")
    def from_thread_run(home: int = Depends(dependency)) -> bool:
        return anyio.from_thread.run(ident) == home == anyio.from_thread.run_sync(threading.get_ident)

    @app.get("/check")
    def check() -> str:
        anyio.from_thread.check_cancelled()
        return "not cancelled"

    @app.get("/context")
    def context() -> str:
        before = var.get()
        var.set("set")
        return before

    server = serve(app, transport=transport, loop=loop_name)
    assert get(server, "/run").data == b"true"
    assert get(server, "/check").data == b'"not cancelled"'
    assert [get(server, "/context").data for _ in range(3)] == [b'"unset"'] * 3


def test_check_cancelled_raises_when_the_server_gives_up(serve: Serve, transport: str) -> None:
    app = FastAPI()
    entered, left = threading.Event(), threading.Event()

    @app.get("/")
    def root() -> None:
        entered.set()
        try:
            for _ in range(10_000):
                anyio.from_thread.check_cancelled()
                threading.Event().wait(0.001)
        except BaseException:
            left.set()
            raise

    server = serve(app, transport=transport, timeout_stop=0.1)
    with ThreadPoolExecutor(1) as client:
        reply = client.submit(get, server)
        assert entered.wait(PATIENCE)
        server.stop()
        assert left.wait(PATIENCE)
        assert reply.exception() is not None or reply.result().status == 500


def test_thread_that_cannot_be_started_is_an_error_and_no_lost_count() -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    async def main() -> calls.CallThreads:
        return calls.CallThreads(anyio_worker.Workers(asyncio.get_running_loop()))

    threads = asyncio.run(main())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls.threading, "Thread", NoThread)
        with pytest.raises(RuntimeError, match="can't start"):
            threads.spawn()
    assert threads.alive() == 0
