"""Handlers that fork and return in both processes: one answer, from the parent; the child touches nothing of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

Python = Callable[..., Any]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

SCRIPT = """
import asyncio, gc, http.client, os, sys, threading, time, warnings
from fastapi import FastAPI
from turboapi import Server

warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process with threads
app = FastAPI()
parent = os.getpid()
children = []

def forked() -> bool:
    pid = os.fork()
    children.append(pid)
    return pid == 0

@app.get("/call/{how}")
def call(how: str) -> int:
    if forked():
        if how == "exit":
            raise SystemExit(3)
        if how == "raise":
            raise ValueError("in the child")
        if how == "collect":
            gc.collect()
    return os.getpid()

@app.get("/loop/{how}")
async def loop(how: str) -> int:
    if forked():
        if how == "raise":
            raise ValueError("in the child")
    return os.getpid()

@app.get("/late")
async def late() -> int:
    await asyncio.sleep(0.01)  # from here on the loop calls, not the engine's turn
    forked()
    return os.getpid()

@app.get("/pid")
async def pid() -> int:
    return os.getpid()

def ended() -> list[int]:
    codes = []
    for pid in children:
        deadline = time.monotonic() + 60
        while not (found := os.waitpid(pid, os.WNOHANG))[0]:
            assert time.monotonic() < deadline, "a child lives on"
            time.sleep(0.005)
        codes.append(os.waitstatus_to_exitcode(found[1]))
    children.clear()
    return codes

def main() -> None:
    with Server(app, port=0, transport=TRANSPORT, loop=LOOP, timeout_stop=2) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for path in PATHS:
            connection.request("GET", path)
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, str(parent).encode()), path
            for _ in range(20):
                connection.request("GET", "/pid")
                assert connection.getresponse().read() == str(parent).encode()
            codes = ended()
            assert codes == [CODE], (path, codes)
        connection.close()
        assert server.stats()["in_flight"] == 0
    print("done")

main()
"""


@pytest.mark.parametrize(
    ("paths", "code"),
    [
        (("/call/return", "/call/exit", "/call/raise", "/call/collect"), 0),
        (("/loop/return", "/loop/raise", "/late"), 1),
    ],
    ids=["call", "loop"],
)
def test_fork_that_returns_twice(python: Python, transport: str, paths: tuple[str, ...], code: int) -> None:
    here = {"TRANSPORT": transport, "LOOP": "asyncio", "PATHS": paths * 2, "CODE": code}
    script = "".join(f"{name} = {value!r}\n" for name, value in here.items()) + SCRIPT
    assert python(script).stdout == "done\n"
