"""What is asked of the servers: cases, numbers of connections, and which servers take part."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CASES", "SPECIAL", "Case", "Measurement", "Plan", "plan"]

LOAD = Path(__file__).parent / "load"

# In the order of the columns of every table. "turboapi" is the reactor, as it runs by default.
EVERYONE = ("turboapi", "django-bolt", "granian", "robyn", "uvicorn")
FLOORED = (*EVERYONE, "turboapi-fasthttp", "fasthttp")
ASGI = ("turboapi", "granian", "uvicorn")

HELLO = {"message": "hello"}
SLEPT = {"message": "slept"}
ITEM = {"name": "a lamp", "price": 12.5, "tags": ["x", "y"]}
ROWS = [{"id": i, "name": f"row {i}", "price": i + 0.5, "tags": ["a", "b"]} for i in range(100)]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One kind of request. `expect` is the JSON of the answer, checked before anything is measured.

    group: cases of one group and one number of connections are measured in one interleaving, since figures of
    theirs are divided by each other, or just to share the servers' start.
    """

    name: str
    title: str
    path: str
    expect: Any
    connections: tuple[int, ...] = (64,)
    peers: tuple[str, ...] = EVERYONE
    app: str = "fastapi"
    body: Any = None
    script: str | None = None
    group: str = ""

    @property
    def lua(self) -> str | None:
        """Return the path of wrk's script for this case, None where plain GETs do."""
        return None if self.script is None else str(LOAD / self.script)

    @property
    def payload(self) -> bytes | None:
        return None if self.body is None else json.dumps(self.body).encode()


CASES = (
    Case("async", "`async def`, dict", "/async", HELLO, (64, 1, 8, 512), FLOORED, group="dict"),
    Case("def", "`def`, dict", "/def", HELLO, (64, 1, 8, 512), (*EVERYONE, "turboapi-fasthttp"), group="dict"),
    Case("await", "awaiting a coroutine", "/await", HELLO, group="await"),
    Case("yield", "`await asyncio.sleep(0)`", "/yield", HELLO, group="await"),
    Case("typed", "typed path and query", "/items/42?q=x", {"item_id": 42, "q": "x"}, group="typed"),
    Case("post", "POST, model in and out", "/items", ITEM, body=ITEM, script="post.lua", group="typed"),
    Case("rows", "100 rows, response model", "/rows", ROWS),
    Case(
        "dependency",
        "sync dependency, async route",
        "/dependency",
        {"x": 5},
        peers=("turboapi", "django-bolt", "granian", "uvicorn"),
    ),
    Case("sleep", "`await asyncio.sleep(0.01)`", "/sleep", SLEPT, (256,)),
    # robyn and django-bolt need seconds per request at 512 connections: no figure of a short run.
    Case("block", "`time.sleep(0.01)` in `def`", "/block", SLEPT, (64,)),
    Case("block", "`time.sleep(0.01)` in `def`", "/block", SLEPT, (512,), ASGI),
    Case("mix", "`def` and `async def` in turn", "/async", HELLO, script="mix.lua"),
    Case("raw", "raw ASGI application", "/", HELLO, peers=ASGI, app="asgi"),
)

# Measured by their own modules, see run.py; the figures stand in the results beside the others.
SPECIAL = ("echo", "rare", "mixed", "rest", "idle", "start", "floor")


@dataclass(frozen=True, slots=True)
class Measurement:
    """A case at one number of connections on one server."""

    case: Case
    connections: int
    peer: str

    @property
    def point(self) -> str:
        """Return the name of the row, as in async@64."""
        return f"{self.case.name}@{self.connections}"


@dataclass(slots=True)
class Plan:
    """Measurements that are taken in turn, on servers that run at the same time."""

    title: str
    measurements: list[Measurement] = field(default_factory=list)

    def servers(self) -> list[tuple[str, str]]:
        """Return each (peer, app) once, in order."""
        return list(dict.fromkeys((m.peer, m.case.app) for m in self.measurements))


def plan(
    *, cases: Iterable[str] = (), peers: Iterable[str] = (), only: Iterable[tuple[str, str]] | None = None
) -> list[Plan]:
    """Return what to measure, in groups.

    cases, peers: names to keep; empty keeps all. A case may carry its connections, as in async@512.
    only: the (point, peer) pairs that the short form needs; None for all.
    """
    cases, peers = set(cases), set(peers)
    wanted = None if only is None else set(only)
    groups: dict[tuple[str, int], Plan] = {}
    for m in _all():
        if cases and m.point not in cases and m.case.name not in cases:
            continue
        if (peers and m.peer not in peers) or (wanted is not None and (m.point, m.peer) not in wanted):
            continue
        name = m.case.group or m.case.name
        group = groups.setdefault((name, m.connections), Plan(f"{name} at {m.connections}"))
        group.measurements.append(m)
    return list(groups.values())


def _all() -> Iterator[Measurement]:
    for case in CASES:
        for connections in case.connections:
            for peer in case.peers:
                yield Measurement(case, connections, peer)
