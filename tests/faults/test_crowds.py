"""Many connections: ten thousand that idle, twenty thousand that come and go, and more than descriptors."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from tests.conftest import PATIENCE, eventually, get
from tests.faults.client import Client
from tests.faults.gate import Gate, gated
from turboapi import Server

Serve = Callable[..., Server]
Connect = Callable[..., Client]
Script = Callable[..., "subprocess.Popen[str]"]

REQUEST = b"GET /fine HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
def most() -> Iterator[int]:
    """As many descriptors as this process may have; the soft limit is raised to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    """`script(source)` starts a program whose output comes through a pipe; its input ends with the test, then it."""
    with contextlib.ExitStack() as stack:

        def start(source: str) -> subprocess.Popen[str]:
            (tmp_path / "script.py").write_text(textwrap.dedent(source))
            process = subprocess.Popen(
                [sys.executable, "script.py"],
                cwd=tmp_path,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            stack.push(process.stdin)  # type: ignore[arg-type]
            stack.push(process.stdout)  # type: ignore[arg-type]
            return process

        yield start


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def say(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()
    return line(process)


SERVER = """
    import json, resource, sys
    from fastapi import FastAPI
    from turboapi import Server

    {setup}
    app = FastAPI()

    @app.get("/fine")
    async def fine() -> int:
        return 1

    @app.get("/call")
    def call() -> int:
        return 1

    with Server(app, port=0, transport={transport!r}, access_log=False, {settings}) as server:
        print(server.port, flush=True)
        for line in sys.stdin:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            print(json.dumps({{**server.stats(), "cpu": usage.ru_utime + usage.ru_stime}}), flush=True)
"""


def stats(process: subprocess.Popen[str]) -> dict[str, Any]:
    import json

    found: dict[str, Any] = json.loads(say(process, "stats"))
    return found


def ask_all(socks: list[socket.socket]) -> None:
    """One request on each connection at once, and its answer."""
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            sock.sendall(REQUEST)
            selector.register(sock, selectors.EVENT_READ, bytearray())
        left = len(socks)
        while left:
            found = selector.select(PATIENCE)
            assert found, f"{left} of {len(socks)} were not answered"
            for key, _ in found:
                assert isinstance(key.fileobj, socket.socket)
                part = key.fileobj.recv(4096)
                assert part, "closed instead of an answer"
                key.data.extend(part)
                if key.data.endswith(b"\r\n\r\n1"):
                    assert key.data.startswith(b"HTTP/1.1 200 ")
                    selector.unregister(key.fileobj)
                    left -= 1


def test_ten_thousand_idle_connections_are_all_served_again(most: int, script: Script, transport: str) -> None:
    setup = f"resource.setrlimit(resource.RLIMIT_NOFILE, ({most}, {most}))"
    server = script(
        SERVER.format(setup=setup, transport=transport, settings="backlog=4096, timeout_header=1000, timeout_idle=1000")
    )
    port = int(line(server))
    wanted = min(10_000, most - 500)
    socks: list[socket.socket] = []
    try:
        while len(socks) < wanted:
            socks.extend(socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(500))
            ask_all(socks[-500:])
        assert stats(server)["connections"] == len(socks)
        with Client(port) as other:  # they are in nobody's way
            for path in ("/fine", "/call") * 20:
                assert other.get(path).reply().body == b"1"
        ask_all(socks)
        # A client may have its answer before the record is given back.
        eventually(lambda: stats(server)["exchanges_live"] == 0)
        eventually(lambda: stats(server)["responses"] == 2 * len(socks) + 40)
    finally:
        for sock in socks:
            sock.close()
    eventually(lambda: stats(server)["connections"] == 0)


def test_twenty_thousand_connections_that_come_and_go(serve: Serve, transport: str) -> None:
    app = FastAPI()

    @app.get("/fine")
    async def fine() -> int:
        return 1

    server = serve(app, transport=transport, access_log=False)
    address = ("127.0.0.1", server.port)
    before = len(os.listdir("/proc/self/fd"))
    reset = struct.pack("ii", 1, 0)
    answered = 0
    for n in range(20_000):
        sock = socket.socket()
        sock.connect(address)
        match n % 8:
            case 0:
                sock.send(REQUEST)
            case 1:
                sock.send(REQUEST[:20])
            case 2 if n % 5 == 0:
                sock.send(REQUEST)
                sock.settimeout(PATIENCE)
                assert sock.recv(1000).endswith(b"\r\n\r\n1")
                answered += 1
        if n % 16:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        sock.close()
    eventually(lambda: server.stats()["active"] == 0, lambda: str(server.stats()))
    assert answered == 500
    assert get(server, "/fine").data == b"1"
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= before + 2)


def test_server_without_descriptors_neither_ends_nor_spins(script: Script, transport: str) -> None:
    setup = "resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))"
    server = script(SERVER.format(setup=setup, transport=transport, settings=""))
    port = int(line(server))
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(Client(port))
        assert first.get("/fine").reply().body == b"1"
        others = [stack.enter_context(Client(port)) for _ in range(100)]
        for other in others:
            other.get("/fine")
        eventually(lambda: stats(server)["accept_errors"] > 0)
        # For a while nothing comes: then a server that spins shows by the processor time it has used.
        began, then = stats(server), time.monotonic()
        while time.monotonic() < then + 0.5:
            assert first.get("/call").reply().body == b"1"  # those who are in are served
            time.sleep(0.02)
        found = stats(server)
        # A server that spins takes all of one processor, or its share where others want it, too.
        assert found["cpu"] - began["cpu"] < 0.3 * max(1.0, 2 * (time.monotonic() - then))
        assert found["accept_errors"] - began["accept_errors"] < 200
        inside = [other for other in others if other.answered()]
        assert 0 < len(inside) < 60
        # As some leave, the others come in, until all have been served.
        waiting = [other for other in others if other not in inside]
        for other in inside:
            assert other.reply().body == b"1"
            other.sock.close()
        while waiting:
            other = waiting.pop(0)
            assert other.reply().body == b"1"
            other.sock.close()
        assert first.get("/fine").reply().body == b"1"


def test_client_process_that_is_killed(serve: Serve, script: Script, transport: str) -> None:
    """With requests at every stage: all its connections end at once, in the middle of whatever they did."""
    gate = Gate()
    server = serve(gated(gate), transport=transport)
    client = script(
        f"""
        import socket, sys
        socks = []
        for n in range(60):
            sock = socket.create_connection(("127.0.0.1", {server.port}))
            socks.append(sock)
            path = ["/loop", "/call", "/request", "/fallback/x", "/fine"][n % 5]
            request = f"GET {{path}} HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n".encode()
            sock.sendall(request * 3 if n % 2 else request)
        for n in range(20):
            sock = socket.create_connection(("127.0.0.1", {server.port}))
            socks.append(sock)
            sock.sendall(b"POST /stream HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 1000\\r\\n\\r\\nhalf")
        print("sent", flush=True)
        sys.stdin.read()
        """
    )
    assert line(client) == "sent"
    eventually(lambda: len(gate.entered) >= 48 + 20)
    client.send_signal(signal.SIGKILL)
    client.wait()
    eventually(lambda: gate.left.count("stream") == 20)
    gate.open()
    eventually(lambda: server.stats()["active"] == server.stats()["in_flight"] == 0, lambda: str(server.stats()))
    assert get(server, "/fine").data == b"1"


def test_connections_beyond_the_limit_wait_for_a_place(serve: Serve, connect: Connect, transport: str) -> None:
    gate = Gate()
    server = serve(gated(gate), transport=transport, limit_connections=10)
    inside = [connect(server).get("/fine") for _ in range(10)]
    assert [client.reply().body for client in inside] == [b"1"] * 10
    outside = [connect(server).get("/fine") for _ in range(10)]
    for client in inside:
        assert client.get("/fine").reply().body == b"1"
    assert not any(client.answered() for client in outside)
    assert server.stats()["connections"] == 10
    for client in inside:
        client.leave("rst")
    assert [client.reply().body for client in outside] == [b"1"] * 10
