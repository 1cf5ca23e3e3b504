"""Stopping under load: every request that reached a handler was answered to its client."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from tests.conftest import PATIENCE, ROOT, eventually
from turboapi import Server

CLIENTS = 16

SOURCE = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
import asyncio, threading

lock = threading.Lock()
count = 0

def entered():
    global count
    with lock:
        count += 1

@asynccontextmanager
async def lifespan(app):
    yield
    print("entered", count, flush=True)

app = FastAPI(lifespan=lifespan)

@app.get("/0")
async def at_once():
    entered()
    return "x" * 10

@app.get("/1")
async def later():
    entered()
    await asyncio.sleep(0.001)
    return "x" * 10_000

@app.get("/2")
def call():
    entered()
    return "x" * 10
"""


class Clients:
    """Keep-alive clients that ask as fast as they are answered, until their connection ends."""

    def __init__(self, port: int) -> None:
        self.answered = 0
        self.wrong: list[bytes] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._one, args=(port, n)) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(2 * PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads)

    def _one(self, port: int, number: int) -> None:
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        except OSError:
            return
        with sock:
            request = b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % (number % 3)
            while True:
                try:
                    sock.sendall(request)
                    head = read_until(sock, b"\r\n\r\n")
                    if head is None:
                        return
                    if not head.startswith(b"HTTP/1.1 200 "):
                        self.wrong.append(head)
                        return
                    length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
                    body = head.partition(b"\r\n\r\n")[2]
                    while len(body) < length:
                        piece = sock.recv(65536)
                        if not piece:
                            self.wrong.append(head + body)
                            return
                        body += piece
                except OSError:
                    return
                with self._lock:
                    self.answered += 1
                if b"connection: close" in head.lower():
                    return


def read_until(sock: socket.socket, end: bytes) -> bytes | None:
    """Return what comes up to and beyond `end`; None where the connection ends before anything came."""
    found = b""
    while end not in found:
        piece = sock.recv(65536)
        if not piece:
            assert not found, found
            return None
        found += piece
    return found


def counted() -> tuple[FastAPI, Callable[[], int]]:
    space: dict[str, Any] = {}
    exec(SOURCE, space)
    return space["app"], lambda: space["count"]


def test_stop_under_load_loses_no_request(transport: str) -> None:
    for _ in range(10):
        app, entered = counted()
        server = Server(app, port=0, transport=transport, access_log=False)  # type: ignore[arg-type]
        server.start()
        clients = Clients(server.port)
        eventually(lambda: clients.answered > 100)  # noqa: B023
        server.stop()
        clients.join()
        assert clients.wrong == []
        assert clients.answered == entered()


@pytest.mark.slow
def test_sigterm_under_load_loses_no_request(transport: str, tmp_path: Path) -> None:
    (tmp_path / "loaded.py").write_text(SOURCE)
    command = [sys.executable, "-m", "turboapi", "run", "loaded:app", "--port", "0", "--no-access-log"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(3):  # tests/faults does it more often
        with subprocess.Popen(
            [*command, "--transport", transport], cwd=tmp_path, stdout=-1, stderr=subprocess.STDOUT, text=True, env=env
        ) as child:
            out = ""
            while not (found := re.search(r"http://127.0.0.1:(\d+)", out)):
                out += child.stdout.readline()  # type: ignore[union-attr]
            clients = Clients(int(found[1]))
            eventually(lambda: clients.answered > 100)  # noqa: B023
            child.send_signal(signal.SIGTERM)
            out += child.communicate(timeout=PATIENCE)[0]
            clients.join()
        assert child.returncode == 0, out
        assert clients.wrong == []
        assert f"entered {clients.answered}\n" in out
