"""Fixtures for tests that run servers: transports, loops, servers that are stopped, and the count of exchanges."""

from __future__ import annotations

import contextlib
import gc
import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from turboapi import Server
from turboapi.engine import _load, control, serving

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Shells start what runs in the background like that, and programs that tests start would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

TRANSPORTS = ("reactor", "fasthttp") if sys.platform == "linux" else ("fasthttp",)
LOOPS = ("asyncio", "uvloop")
ROOT = Path(__file__).resolve().parent.parent

# How long what is not bounded by anything else may take before a test gives up, in seconds: it ends a hang. No machine,
# however busy, should come near it.
PATIENCE = 60.0


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=LOOPS)
def loop_name(request: pytest.FixtureRequest) -> str:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return request.param


@pytest.fixture(autouse=True)
def _every_exchange_is_freed() -> Iterator[None]:
    """After each test no more exchanges and bytes are out than before it: made equal freed, in the whole process."""

    def out() -> tuple[int, int]:
        found = control.stats(0)
        return found["live"], found["held"]

    before = out() if _load.loaded() else (0, 0)
    yield

    def freed() -> bool:
        # Fewer is no fault: of the test before, a request may have been on its way.
        live, held = out()
        return live <= before[0] and held <= before[1]

    def freed_or_garbage() -> bool:
        if freed():
            return True
        # A task that was never finished holds its exchange until it is garbage.
        gc.collect()
        return freed()

    if _load.loaded():
        eventually(freed_or_garbage, lambda: f"{before} before, {control.stats(0)}")


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """`serve(app, **settings)` starts a server on a free port; it is stopped at the end of the test."""
    with contextlib.ExitStack() as stack:

        def start(app: Any, **settings: Any) -> Server:
            server = Server(app, **{"port": 0, "timeout_stop": PATIENCE / 2, **settings})
            stack.callback(server.stop)
            return server.start()

        yield start


@pytest.fixture
def short_unwind(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was cancelled, and threads that hang, are not waited for as long as in earnest."""
    monkeypatch.setattr(serving, "_UNWIND", 0.2)


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`python(source)` runs a script in a process of its own, in an empty directory, and returns what came out."""

    def run(source: str, *, timeout: float = 2 * PATIENCE, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        (tmp_path / "script.py").write_text(source)
        done = subprocess.run(
            [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert expect is None or done.returncode == expect, done.stdout + done.stderr
        return done

    return run


def eventually(true: Callable[[], bool], explain: Callable[[], str] = lambda: "") -> None:
    """Wait until `true()`; fail with `explain()` where it does not become so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"still not so after {PATIENCE} s: {explain()}"
        time.sleep(0.002)


def get(server: Server, target: str = "/", **more: Any) -> http.client.HTTPResponse:
    """Send one request on a connection of its own; the response's body is read, in `.data`."""
    return ask(server, "GET", target, **more)


def ask(server: Server, method: str, target: str = "/", **more: Any) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request(method, target, **more)
        response = connection.getresponse()
        response.data = response.read()  # type: ignore[attr-defined]
        return response


def talk(server: Server, *parts: bytes) -> bytes:
    """Send bytes and return all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        for part in parts:
            sock.sendall(part)
        found = b""
        while piece := sock.recv(65536):
            found += piece
        return found
