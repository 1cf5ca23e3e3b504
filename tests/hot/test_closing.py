"""Servers that are closed, or forgotten, while exchanges are anywhere in them."""

from __future__ import annotations

import asyncio
import gc
import http.client
import socket
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse

from tests.conftest import PATIENCE, eventually
from turboapi import Server
from turboapi.engine import _load, control

Serve = Callable[..., Server]
Python = Callable[..., Any]


def send(server: Server, target: str = "/") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    sock.sendall(f"GET {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    return sock


def rest(sock: socket.socket) -> bytes:
    with sock:
        found = b""
        try:
            while piece := sock.recv(65536):
                found += piece
        except ConnectionResetError:
            pass
        return found


def hot_of(server: Server) -> Any:
    assert server._serving is not None
    return server._serving._hot


def live() -> int:
    return int(control.stats(0)["live"])


def test_handler_that_closes_the_server_under_all_others(serve: Serve, transport: str, loop_name: str) -> None:
    """Calls run, wait for a thread and wait for the loop; tasks are suspended; events of the same turn are left."""
    free = threading.Event()
    entered: list[str] = []
    app = FastAPI()

    @app.get("/hang")
    def hang() -> str:
        entered.append("call")
        free.wait(PATIENCE)
        return "late"

    @app.get("/task")
    async def task() -> str:
        entered.append("task")
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            entered.append("ended")
        return "never"

    @app.get("/close")
    async def close() -> str:
        hot_of(server).close()
        return "closed"

    server = serve(app, transport=transport, loop=loop_name, call_threads=2, timeout_stop=0.1)
    socks = [send(server, "/hang") for _ in range(4)]
    eventually(lambda: entered.count("call") == 2)
    socks += [send(server, "/task") for _ in range(3)]
    eventually(lambda: entered.count("task") == 3)
    closer = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    request = "GET {} HTTP/1.1\r\nhost: x\r\n\r\n"
    closer.sendall("".join(request.format(t) for t in ("/close", "/task", "/hang", "/close", "/task")).encode())
    eventually(lambda: hot_of(server).stats()["call_queued"] == 0)
    hot_of(server).turn()
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    eventually(lambda: not server.started or entered.count("ended") == 3)
    free.set()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    answers = [rest(sock)[9:12] for sock in socks]
    assert set(answers[:4]) <= {b"200", b"503", b""}  # ran to its end, or was refused, or came too late
    assert answers.count(b"503") == 2
    assert answers[4:] == [b"500"] * 3
    assert rest(closer).startswith(b"HTTP/1.1 200")


@pytest.mark.usefixtures("short_unwind")
@pytest.mark.parametrize("kind", ["value", "handled", "unhandled", "streams", "exit", "stage"])
def test_call_that_ends_after_its_server(serve: Serve, kind: str) -> None:
    free, entered = threading.Event(), threading.Event()
    app = FastAPI()
    after: list[str] = []

    @app.exception_handler(KeyError)
    async def on_key_error(request: Request, error: KeyError) -> StreamingResponse:
        after.append("handler")
        return StreamingResponse(iter(["x"]))

    def wait() -> None:
        entered.set()
        free.wait(PATIENCE)

    async def later(waited: None = Depends(wait)) -> str:
        after.append("stage")
        return "x"

    def handler() -> Any:
        wait()
        match kind:
            case "handled":
                raise KeyError
            case "unhandled":
                raise ValueError("on purpose")
            case "streams":
                return StreamingResponse(iter(["x"]))
            case "exit":
                raise SystemExit(3)
        return "value"

    app.get("/", response_model=None)(later if kind == "stage" else handler)
    server = serve(app, timeout_stop=0.05)
    sock = send(server)
    assert entered.wait(PATIENCE)
    before = live()
    server.stop()
    assert rest(sock) == b""
    assert live() == before
    free.set()
    eventually(lambda: live() == before - 1)
    eventually(lambda: not [t for t in threading.enumerate() if t.name.startswith("turboapi-call-")])
    assert after == []


def test_task_that_refuses_to_end_hears_that_its_client_is_gone(serve: Serve, transport: str, loop_name: str) -> None:
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        while True:
            try:
                message = await receive()
            except asyncio.CancelledError:
                heard.append("cancelled")
                continue
            heard.append(message["type"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x" * 1_000_000})
            return

    server = serve(app, lifespan="off", transport=transport, loop=loop_name, timeout_stop=0.05)
    sock = send(server)
    eventually(lambda: server.stats()["in_flight"] == 1)
    server.stop()
    assert heard[-1] == "http.disconnect"
    assert set(heard[:-1]) <= {"cancelled"}
    rest(sock)


def test_stream_whose_client_does_not_read_ends_with_the_server(serve: Serve, transport: str) -> None:
    ended = threading.Event()

    async def parts() -> AsyncIterator[bytes]:
        try:
            while True:
                try:
                    yield b"x" * 100_000
                except asyncio.CancelledError:
                    pass
        finally:
            ended.set()

    app = FastAPI()

    @app.get("/")
    async def root() -> StreamingResponse:
        return StreamingResponse(parts())

    server = serve(app, transport=transport, timeout_stop=0.05)
    with send(server):
        eventually(lambda: server.stats()["in_flight"] == 1)
        server.stop()
    gc.collect()
    assert ended.wait(PATIENCE)


def test_threads_that_stop_the_lane_at_once(serve: Serve, transport: str) -> None:
    app = FastAPI()

    @app.get("/")
    def root() -> str:
        return "x"

    server = serve(app, transport=transport, timeout_stop=0.2)
    rest_of = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    rest_of.request("GET", "/")
    assert rest_of.getresponse().read() == b'"x"'
    hot = hot_of(server)
    with ThreadPoolExecutor(8) as many:
        for done in [many.submit(hot.stop_lane) for _ in range(16)]:
            done.result()
    rest_of.request("GET", "/")
    assert rest_of.getresponse().status == 503
    rest_of.close()


def test_server_that_is_forgotten_with_all_its_exchanges(python: Python, transport: str) -> None:
    """A loop that ends early: tasks suspended, calls waiting, the watchdog running. The collector takes it all."""
    done = python(
        f"""
import asyncio, gc, logging, socket, sys, time, warnings, weakref
from fastapi import FastAPI, Request
from turboapi import Server
from turboapi.engine import calls, control, exits

warnings.simplefilter("ignore")
logging.disable()

def no_thread(self):
    raise RuntimeError("can't start new thread")

calls.CallThreads.spawn = no_thread

def main():
    app = FastAPI()
    entered = []  # FastAPI itself never forgets an endpoint, nor what it closes over

    @app.get("/task")
    async def task(request: Request):
        entered.append(1)
        await request.receive()
        await request.receive()

    @app.get("/call")
    def call(request: Request):
        return "never"

    server = Server(app, port=0, loop="asyncio", transport={transport!r})
    loop = asyncio.new_event_loop()

    async def start():
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        socks = []
        for target in ("/task", "/call", "/task", "/call"):
            sock = socket.create_connection(("127.0.0.1", server.port))
            sock.sendall(f"GET {{target}} HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n".encode())
            socks.append(sock)
        while server.stats()["in_flight"] < 4:
            await asyncio.sleep(0.01)
        return socks

    socks = loop.run_until_complete(start())
    assert len(entered) == 2 and control.stats(0)["live"] == 4
    return weakref.ref(server._serving), socks

serving, socks = main()
exits._enders.clear()
for _ in range(3):
    gc.collect()
assert serving() is None, gc.get_referrers(serving())
assert control.stats(0)["live"] == 0, control.stats(0)
print("done")
"""
    )
    assert done.stdout == "done\n", done.stderr
    assert "Fatal" not in done.stderr


# --- the type by itself ---------------------------------------------------------------------------------------------


class Callbacks:
    def __init__(self) -> None:
        self.lines: list[Any] = []
        self.server: Any = None

    def quick(self, proxy: Any, exc: BaseException) -> None:
        return None

    def log(self, *line: Any) -> None:
        self.lines.append(line)

    def nothing(self, *args: Any) -> None:
        pass


def bare(loop: Any, **more: Any) -> tuple[Any, Callbacks]:
    """A `_hot.Server` of no engine: its turns find nothing."""
    here = Callbacks()
    values: dict[str, Any] = {
        "loop": loop,
        "app": here.nothing,
        "state": {},
        "root_path": "",
        "errors": here,
        "task_type": asyncio.Task,
        "eager": True,
        "spawn": here.nothing,
        "limit": 1,
        "queue_limit": 1,
        "on_change": here.nothing,
        "on_exit": here.nothing,
        "log": here.log,
        "extensions": (),
    }
    here.server = _load.hot().Server(0, -1, **{**values, **more})
    return here.server, here


@pytest.fixture
def loop() -> Any:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def test_methods_before_and_after_close(loop: Any) -> None:
    server, _ = bare(loop)
    for _ in range(2):
        assert server.turn() is None
        assert server.flush() is None
        assert server.in_flight() == 0
        assert server.cancel_all() is None
        assert server.set_limit(5) is None
        assert server.stats()["call_limit"] == 5
        assert server.wake([]) is None
        server.set_plans(1, [], SimpleNamespace(lists=[[]], dicts=[{}], attrs=[(server, "x")]))
        server.close()
        server.stop_lane()
        assert server.lane_main() is None


def test_server_in_a_cycle_is_collected(loop: Any) -> None:
    for _ in range(3):
        server, here = bare(loop)
        server.set_plans(1, [], SimpleNamespace(lists=[[here]], dicts=[{"a": here}], attrs=[(here, "server")]))
        mark = weakref.ref(here)
        del server, here
        gc.collect()
        assert mark() is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"root_path": b""},
        {"root_path": None},
        {"state": []},
        {"errors": None},
        {"loop": None},
        {"loop": SimpleNamespace(call_soon=1)},
        {"limit": 0},
        {"limit": -1},
        {"limit": 2**40},
        {"queue_limit": -1},
    ],
    ids=repr,
)
def test_arguments_of_a_wrong_kind(loop: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError, OverflowError)):
        bare(loop, **wrong)
    gc.collect()


@pytest.mark.parametrize("limit", [0, -1, 1_000_001, 2**70, "x", None])
def test_limit_that_is_none(loop: Any, limit: Any) -> None:
    server, _ = bare(loop)
    with pytest.raises((TypeError, ValueError, OverflowError)):
        server.set_limit(limit)


def test_change_that_cannot_be_told(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """on_change that raises is reported, and the turn goes on."""
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: reported.append(repr(found.exc_value)))

    def on_change() -> None:
        raise ValueError("on purpose")

    server, _ = bare(loop, on_change=on_change)
    watched: list[int] = []
    server.set_plans(1, [], SimpleNamespace(lists=[watched], dicts=[], attrs=[]))
    server.turn()
    watched.append(1)
    server.turn()
    assert reported == ["ValueError('on purpose')"]
    assert server.stats()["turns"] == 2
