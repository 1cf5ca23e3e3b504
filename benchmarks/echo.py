"""WebSocket echo: a text of 128 bytes there and back on 64 connections, by FastAPI and by a raw ASGI application.

python benchmarks/echo.py [--seconds 3] [--rounds 3]
"""

from __future__ import annotations

import contextlib
import functools
import json
import subprocess

import measure
import special
from install import NotAvailable, Python, echoload
from peers import start
from processes import Process

__all__ = ["echo"]

CONNECTIONS = 64
PEERS = {
    "echo": ("fastapi", ("turboapi", "granian-ws", "uvicorn", "turboapi-fasthttp")),
    "raw echo": ("asgi", ("turboapi", "granian-ws", "uvicorn")),
}


def echo(python: Python, seconds: int, rounds: int) -> special.Points:
    """Load the servers in turn, and count what each used per message."""
    program = echoload()
    points: special.Points = {}
    for name, (app, peers) in PEERS.items():
        with contextlib.ExitStack() as stack:
            servers: dict[str, Process] = {}
            for peer in peers:
                with contextlib.suppress(NotAvailable):
                    servers[peer] = stack.enter_context(start(peer, python, app))
                    servers[peer].wait_until_ready("/async" if app == "fastapi" else "/")
            takers = {peer: functools.partial(_taken, program, server) for peer, server in servers.items()}
            points[f"{name}@{CONNECTIONS}"] = measure.in_turn(takers, seconds, rounds)
    return points


def _taken(program: str, server: Process, seconds: int) -> measure.Run:
    return measure.taken(server, lambda: _load(program, server, seconds))


def _load(program: str, server: Process, seconds: int) -> measure.Load:
    command = [program, f"127.0.0.1:{server.port}", "/echo", str(CONNECTIONS), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    if done.returncode != 0:
        raise measure.LoadFailed(done.stderr.strip())
    return measure.Load(**json.loads(done.stdout))


if __name__ == "__main__":
    special.main(__doc__, echo)
