"""Server: the three ways to serve, several in one process, and nothing left behind."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from tests.conftest import PATIENCE, eventually, get
from turboapi import BindError, Server, StartupFailed
from turboapi.engine import control

Serve = Callable[..., Server]


def hello() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def root() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/call")
    def call() -> dict[str, str]:
        return {"thread": threading.current_thread().name}

    return app


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """An application without lifespan."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def test_background_server_answers_and_stops(transport: str, loop_name: str) -> None:
    server = Server(hello(), port=0, transport=transport, loop=loop_name)  # type: ignore[arg-type]
    assert not server.started
    server.start()
    assert server.started
    assert server.url == f"http://127.0.0.1:{server.port}"
    reply = get(server)
    assert (reply.status, reply.data) == (200, b'{"hello":"world"}')
    port = server.port
    server.stop()
    server.stop()  # nothing to do any more
    assert not server.started
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_with_block_stops_at_its_end(transport: str) -> None:
    with Server(bare, port=0, transport=transport) as server:  # type: ignore[arg-type]
        assert get(server).data == b"ok"
    assert not server.started


def test_port_and_url_need_a_running_server() -> None:
    server = Server(bare, port=0)
    with pytest.raises(RuntimeError, match="no port: the server does not serve"):
        server.port
    with pytest.raises(RuntimeError, match="no url: the server does not serve"):
        server.url
    assert server.stats() == {}


def test_guest_of_the_callers_loop(transport: str, loop_name: str) -> None:
    seen: list[object] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((asyncio.get_running_loop(), threading.get_ident()))
        await bare(scope, receive, send)

    async def main() -> None:
        server = Server(app, port=0, transport=transport, lifespan="off")  # type: ignore[arg-type]
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.001)
        reply = await asyncio.to_thread(get, server)
        assert reply.status == 200
        assert seen == [(asyncio.get_running_loop(), threading.get_ident())]
        server.stop()
        await serving
        assert not server.started

    run(main, loop_name)


def run(main: Callable[[], Any], loop_name: str = "asyncio") -> None:
    from turboapi.engine import loops

    loops.run(loops.factory(loop_name), main())


def test_cancelled_guest_stops_gracefully(transport: str) -> None:
    order: list[str] = []
    entered = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                message = await receive()
                order.append(message["type"])
                await send({"type": message["type"] + ".complete"})
            return
        entered.set()
        await asyncio.sleep(0.05)
        await bare(scope, receive, send)
        order.append("answered")

    async def main() -> None:
        server = Server(app, port=0, transport=transport)  # type: ignore[arg-type]
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.001)
        asked = asyncio.ensure_future(asyncio.to_thread(get, server))
        await asyncio.to_thread(entered.wait)
        serving.cancel()
        assert (await asked).data == b"ok"
        with pytest.raises(asyncio.CancelledError):
            await serving

    run(main)
    assert order == ["lifespan.startup", "answered", "lifespan.shutdown"]


def test_guest_of_a_loop_whose_user_runs_two(transport: str) -> None:
    async def main() -> None:
        servers = [Server(bare, port=0, transport=transport) for _ in range(2)]  # type: ignore[arg-type]
        serving = [asyncio.ensure_future(server.serve()) for server in servers]
        while not all(server.started for server in servers):
            await asyncio.sleep(0.001)
        replies = await asyncio.gather(*(asyncio.to_thread(get, server) for server in servers))
        assert [reply.data for reply in replies] == [b"ok", b"ok"]
        for server in servers:
            server.stop()
        await asyncio.gather(*serving)

    run(main)


def test_servers_in_one_process_do_not_share_anything(serve: Serve, transport: str) -> None:
    def numbered(number: int) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        def root() -> int:
            return number

        return app

    servers = [serve(numbered(n), transport=transport) for n in range(4)]
    assert [get(server).data for server in servers] == [b"0", b"1", b"2", b"3"]
    servers[1].stop()
    assert [get(servers[n]).data for n in (0, 2, 3)] == [b"0", b"2", b"3"]


def test_server_serves_again_after_a_stop(transport: str) -> None:
    server = Server(hello(), port=0, transport=transport)  # type: ignore[arg-type]
    for _ in range(3):
        server.start()
        assert get(server).status == 200
        server.stop()


def test_server_that_serves_does_not_start_twice(serve: Serve) -> None:
    server = serve(bare)
    with pytest.raises(RuntimeError, match="already serves"):
        server.start()
    with pytest.raises(RuntimeError, match="already serves"):
        server.run()
    assert get(server).status == 200


def test_run_inside_a_running_loop_says_what_to_do_instead() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"await serve\(\), or use start\(\)"):
            Server(bare, port=0).run()

    run(main)


def test_port_in_use_is_told_before_the_application_starts(serve: Serve) -> None:
    first = serve(bare)
    asked: list[object] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope)

    with pytest.raises(BindError, match=f"127.0.0.1:{first.port}: the port is in use"):
        Server(app, port=first.port).start()
    assert asked == []


def test_failed_startup_leaves_nothing_behind(transport: str) -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("no")

    threads, descriptors = threading.active_count(), open_descriptors()
    server = Server(fails, port=0, lifespan="on", transport=transport)  # type: ignore[arg-type]
    for _ in range(3):
        with pytest.raises(StartupFailed):
            server.start()
    assert not server.started
    # Fewer where one of an earlier test has ended meanwhile.
    assert threading.active_count() <= threads
    assert open_descriptors() <= descriptors


def test_unix_socket(transport: str, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with Server(hello(), uds=str(path), transport=transport) as server:  # type: ignore[arg-type]
        assert server.url.startswith("http+unix://")
        with pytest.raises(RuntimeError, match="a server on a Unix socket has no port"):
            server.port
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            found = b""
            while piece := sock.recv(4096):
                found += piece
        assert found.endswith(b'{"hello":"world"}')
    assert not path.exists()


@pytest.mark.parametrize("kind", ["async", "call"])
def test_handler_may_stop_its_own_server(serve: Serve, transport: str, kind: str) -> None:
    app = FastAPI()
    servers: list[Server] = []

    @app.get("/async")
    async def on_loop() -> str:
        servers[0].stop()
        return "stopping"

    @app.get("/call")
    def on_thread() -> str:
        servers[0].stop()
        return "stopping"

    servers.append(serve(app, transport=transport))
    began = time.monotonic()
    assert get(servers[0], f"/{kind}").data == b'"stopping"'
    eventually(lambda: not servers[0].started)
    assert time.monotonic() - began < PATIENCE / 3  # and not the half of it that a running request is waited for


def test_stats_count_requests(serve: Serve, transport: str) -> None:
    server = serve(hello(), transport=transport)
    for _ in range(3):
        get(server)
    assert server.stats()["requests"] == 3


def test_routes_of_another_application_are_none() -> None:
    assert Server(bare).routes() == []


def test_routes_are_known_before_the_start() -> None:
    found = {route.path: route.outcome for route in Server(hello()).routes()}
    assert found["/"] == "compiled"


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Mallinfo(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def in_use() -> tuple[int, int]:
    """Return the bytes that malloc has given out (0 where the C library cannot tell), and Python's memory blocks."""
    gc.collect()
    tell = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if tell is None:
        return 0, sys.getallocatedblocks()
    tell.restype = Mallinfo
    info = tell()
    return info.uordblks + info.hblkhd, sys.getallocatedblocks()


def thousand(transport: str, times: int) -> None:
    """Start and stop `times` servers in this process, and hold what is left against what was there early on."""
    app = hello()

    def once() -> None:
        with Server(app, port=0, transport=transport, access_log=False) as server:  # type: ignore[arg-type]
            assert get(server).status == 200
            assert get(server, "/call").status == 200

    def many(times: int) -> tuple[int, int]:
        """Start and stop this many; return what that left: bytes from malloc, Python's blocks."""
        before = in_use()
        for _ in range(times):
            once()
        after = in_use()
        return after[0] - before[0], after[1] - before[1]

    many(300)  # until everything that is kept for good is there
    threads, descriptors, pages = threading.active_count(), open_descriptors(), resident()
    # A leak shows in every part. What somebody takes once, at a moment of his own, shows in one of them.
    part = (times - 300) // 7
    taken = [many(part) for _ in range(7)]
    eventually(lambda: (threading.active_count(), open_descriptors()) == (threads, descriptors))
    assert control.stats(0)["servers"] == 0
    malloc, blocks = (sorted(each)[3] / part for each in zip(*taken, strict=True))
    assert (malloc < 100, blocks < 3) == (True, True), taken
    # Go's memory is in here only. Its heap, and Python's, grow in steps of a megabyte: 5 KB a start would be more.
    assert resident() - pages < 3_000_000


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.parametrize("times", [1000])
def test_a_thousand_starts_leave_no_thread_descriptor_or_memory(transport: str, times: int) -> None:
    # In a process of its own: the allocators of one that has run other tests have holes of any size.
    script = f"from tests.engine.test_server import thousand; thousand({transport!r}, {times})"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stderr
