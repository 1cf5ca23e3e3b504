"""What an idle keep-alive connection costs in resident memory, on both transports.

python benchmarks/idle_connections.py

Each of 10,000 clients asks once and then stays silent. Afterwards each must still get an answer.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from typing import Any

import measure
import special
from install import Python
from peers import start
from processes import DidNotStart, Process

__all__ = ["idle"]

CONNECTIONS = 10_000
# Descriptors that client and server have besides.
SPARE = 200
# Fewer than a listening socket keeps.
AT_ONCE = 500
REST_SECONDS = 3
ASK = b"GET /async HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class NotAnswered(Exception):
    """A connection that was open, and got no proper answer."""


def idle(python: Python, _seconds: int, _rounds: int) -> special.Points:
    """Measure each transport."""
    allowed = _allow_descriptors()
    if allowed < CONNECTIONS + SPARE:
        reason = f"only {allowed} descriptors are allowed (ulimit -Hn): {CONNECTIONS + SPARE} are needed"
        return {"idle": {name: {"failed": reason} for name in ("turboapi", "turboapi-fasthttp")}}
    figures: dict[str, dict[str, Any]] = {}
    for name in ("turboapi", "turboapi-fasthttp"):
        try:
            with start(name, python) as server:
                server.wait_until_ready("/async")
                # What the first requests allocate belongs to no connection.
                measure.wrk(server.port, "/async", connections=64, seconds=1)
                time.sleep(1)
                figures[name] = _measure(server)
        except (DidNotStart, NotAnswered, measure.LoadFailed, OSError) as error:
            figures[name] = {"failed": f"{type(error).__name__}: {error}"}
    return {"idle": figures}


def _measure(server: Process) -> dict[str, Any]:
    before = server.rss()
    with contextlib.ExitStack() as stack:
        clients: list[socket.socket] = []
        while len(clients) < CONNECTIONS:
            batch = [
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
                for _ in range(min(AT_ONCE, CONNECTIONS - len(clients)))
            ]
            _ask(batch)
            clients += batch
        time.sleep(REST_SECONDS)
        resting = server.rss()
        _ask(clients)
    return {"connections": CONNECTIONS, "bytes": round((resting - before) / CONNECTIONS)}


def _ask(clients: list[socket.socket]) -> None:
    for client in clients:
        client.sendall(ASK)
    for number, client in enumerate(clients):
        answer = b""
        while not answer.endswith(b'{"message":"hello"}'):
            more = client.recv(4096)
            if not more:
                raise NotAnswered(f"connection {number} was closed after {answer!r}")
            answer += more
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise NotAnswered(f"connection {number} was answered {answer!r}")


def _allow_descriptors() -> int:
    """Raise the soft limit to the hard one, for the servers too, and return it."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 1 << 30 if hard == resource.RLIM_INFINITY else hard


if __name__ == "__main__":
    special.main(__doc__, idle)
