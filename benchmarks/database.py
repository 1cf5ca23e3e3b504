"""A realistic application on a PostgreSQL of its own, apps/database_app.py, and what its work takes without a server.

python benchmarks/database.py [--seconds 3] [--rounds 3]
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess

import measure
import special
from install import Python
from peers import APPS, start
from postgres import Postgres
from processes import Asked, Process

__all__ = ["database"]

CONNECTIONS = 64
PEERS = ("turboapi", "granian", "uvicorn")
ITEM = {"id": 42, "name": "item 42", "price": 42.5, "tags": ["a", "b"]}
ASKED = Asked("/items/42", {"authorization": "Bearer a-token", "origin": "http://shop.example"})


def database(python: Python, seconds: int, rounds: int) -> special.Points:
    """Load the servers in turn with each other and with asyncpg and pydantic alone, all on one PostgreSQL."""
    with Postgres() as postgres, contextlib.ExitStack() as stack:
        environment = {"DATABASE": postgres.url}
        takers = {"alone": functools.partial(_alone, python, environment)}
        for peer in PEERS:
            server = stack.enter_context(start(peer, python, "database", environment))
            server.wait_until_ready("/")
            status, _headers, body = ASKED.once(server.port)
            if status != 200 or json.loads(body) != ITEM:
                raise measure.LoadFailed(f"{peer} answered {status} with {body[:200]!r}")
            takers[peer] = functools.partial(_loaded, server)
        figures = measure.in_turn(takers, seconds, rounds)
    alone = figures.pop("alone")
    return {f"database@{CONNECTIONS}": figures, f"asyncpg and pydantic alone@{CONNECTIONS}": {"turboapi": alone}}


def _loaded(server: Process, seconds: int) -> measure.Run:
    return measure.measure(server, ASKED, connections=CONNECTIONS, seconds=seconds)


def _alone(python: Python, environment: dict[str, str], seconds: int) -> measure.Run:
    """Run the work without a server: as many tasks as there are connections."""
    command = [python.executable, "database_floor.py", str(CONNECTIONS), str(seconds)]
    environment = os.environ | environment | {"PYTHONPATH": python.packages_for_apps()}
    done = subprocess.run(command, cwd=APPS, env=environment, capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode != 0:
        raise measure.LoadFailed(done.stderr.strip())
    return measure.Run(**json.loads(done.stdout), rss_mb=0, others=0)


if __name__ == "__main__":
    special.main(__doc__, database)
