"""What is asked of the servers: cases, numbers of connections, and which servers take part."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from processes import Asked

__all__ = ["CASES", "LOAD", "PARTS", "SPECIAL", "Case", "Measurement", "Plan", "case_of", "plan"]

LOAD = Path(__file__).parent / "load"

# In the order of the columns of every table. "turboapi" is the reactor, as it runs by default.
EVERYONE = ("turboapi", "django-bolt", "granian", "robyn", "uvicorn")
FLOORED = (*EVERYONE, "turboapi-fasthttp", "fasthttp")
ASGI = ("turboapi", "granian", "uvicorn")
JSON = {"content-type": "application/json"}

HELLO = {"message": "hello"}
SLEPT = {"message": "slept"}
ITEM = {"name": "a lamp", "price": 12.5, "tags": ["x", "y"]}
ROWS = [{"id": i, "name": f"row {i}", "price": i + 0.5, "tags": ["a", "b"]} for i in range(100)]
UPLOADED = 10_000_000
FORM = b'--part\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n%s\r\n--part--\r\n'
# What a browser on another site sends, with a session that layers_app has signed.
BROWSER = {
    "origin": "http://shop.example",
    "accept-encoding": "gzip, deflate",
    "cookie": "session=eyJ2aXNpdHMiOiAxfQ==.awQ56A.ab4teHbk7MkVpmn4OSHtYF2DizM",
}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One kind of request. `expect` is the JSON of the answer, or its bytes, checked before anything is measured.

    shows: headers that the answer must have: those of middleware.
    sends: JSON to post, or (headers, body).
    script: wrk's, for more than one kind of request.
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
    sends: Any = None
    headers: Mapping[str, str] = MappingProxyType({})
    shows: tuple[str, ...] = ()
    script: str | None = None
    group: str = ""

    @property
    def asked(self) -> Asked:
        """Return the request."""
        if self.sends is None:
            return Asked(self.path, self.headers)
        if isinstance(self.sends, tuple):
            headers, body = self.sends
            return Asked(self.path, headers, body)
        return Asked(self.path, JSON, json.dumps(self.sends).encode())

    def right(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether an answer is the one that is due."""
        same = body == self.expect if isinstance(self.expect, bytes) else json.loads(body) == self.expect
        return status == 200 and same and all(name in headers for name in self.shows)

    @property
    def lua(self) -> str | None:
        """Return the path of wrk's script for this case, None where one request does."""
        return None if self.script is None else str(LOAD / self.script)


# How the cases of kinds_app are asked.
KINDS: dict[str, Any] = {"peers": ASGI, "app": "kinds"}

CASES = (
    Case("async", "`async def`, dict", "/async", HELLO, (64, 1, 8, 512), FLOORED, group="dict"),
    Case("def", "`def`, dict", "/def", HELLO, (64, 1, 8, 512), (*EVERYONE, "turboapi-fasthttp"), group="dict"),
    Case("await", "awaiting a coroutine", "/await", HELLO, group="await"),
    Case("yield", "`await asyncio.sleep(0)`", "/yield", HELLO, group="await"),
    Case("typed", "typed path and query", "/items/42?q=x", {"item_id": 42, "q": "x"}, group="typed"),
    Case("post", "POST, model in and out", "/items", ITEM, sends=ITEM, group="typed"),
    Case("rows", "100 rows, response model", "/rows", ROWS, group="rows"),
    Case("rows-post", "100 rows, POST in and out", "/rows", ROWS, peers=ASGI, sends=ROWS, group="rows"),
    Case(
        "dependency",
        "sync dependency, async route",
        "/dependency",
        {"x": 5},
        peers=("turboapi", "django-bolt", "granian", "uvicorn"),
    ),
    Case("def-depends", "`def`, sync and sync `yield` dependency", "/def", {"x": 5, "y": 7}, group="depends", **KINDS),
    Case("sync-yield", "`async def`, sync `yield` dependency", "/sync-yield", {"y": 7}, group="depends", **KINDS),
    Case("async-yield", "`async def`, async `yield` dependency", "/async-yield", {"y": 9}, group="depends", **KINDS),
    Case("plain", "the same without any of it", "/plain", HELLO, group="around", **KINDS),
    Case(
        "header",
        '`@app.middleware("http")`, a header',
        "/plain",
        HELLO,
        peers=ASGI,
        app="header",
        shows=("x-served-by",),
        group="around",
    ),
    Case(
        "layers",
        "the same, CORS, GZip, session cookie",
        "/read",
        {"visits": 1},
        peers=ASGI,
        app="layers",
        headers=BROWSER,
        shows=("x-served-by", "access-control-allow-origin", "vary"),
        group="around",
    ),
    Case(
        "layers-changed",
        "the same, the session is changed and signed again",
        "/changed",
        {"visits": 2},
        peers=ASGI,
        app="layers",
        headers=BROWSER,
        shows=("x-served-by", "access-control-allow-origin", "vary", "set-cookie"),
        group="around",
    ),
    Case("background", "background task, `async def`", "/background", HELLO, group="around", **KINDS),
    Case("background-def", "background task, `def`", "/background-def", HELLO, group="around", **KINDS),
    Case("stream", "stream of 20 chunks of 100 bytes", "/stream", 2000 * b"x", **KINDS),
    # More connections would give too few answers of the slower servers in a few seconds.
    Case(
        "upload",
        "upload of 10 MB",
        "/upload",
        {"size": UPLOADED},
        (4,),
        sends=({"content-type": "multipart/form-data; boundary=part"}, FORM % bytes(UPLOADED)),
        **KINDS,
    ),
    Case("sleep", "`await asyncio.sleep(0.01)`", "/sleep", SLEPT, (256,)),
    # robyn and django-bolt need seconds per request at 512 connections: no figure of a short run.
    Case("block", "`time.sleep(0.01)` in `def`", "/block", SLEPT, (64,)),
    Case("block", "`time.sleep(0.01)` in `def`", "/block", SLEPT, (512,), ASGI),
    Case("mix", "`def` and `async def` in turn", "/async", HELLO, script="mix.lua"),
    Case("raw", "raw ASGI application", "/", HELLO, peers=ASGI, app="asgi"),
)

# Measured by their own modules, see run.py: the points that each gives, which stand in the results beside the others.
SPECIAL = {
    "echo": ("echo@64", "raw echo@64"),
    "database": ("database@64", "asyncpg and pydantic alone@64"),
    "rare": ("rare@64",),
    "mixed": ("alone@32", "beside sleeping def@32", "beside computing def@32"),
    "rest": ("at rest",),
    "idle": ("idle",),
    "start": ("start",),
    "floor": ("pydantic-core for 100 rows",),
    # No ratio speaks of these.
    "choice": (),
}

# What can be asked for by one name.
PARTS = {
    "routes": ("async", "def", "await", "yield", "typed", "post", "mix", "raw"),
    "waiting": ("sleep", "block", "rare", "mixed"),
    "dependencies": ("dependency", "def-depends", "sync-yield", "async-yield"),
    "middleware": ("plain", "header", "layers", "layers-changed", "background", "background-def"),
    "bodies": ("rows", "rows-post", "floor", "stream", "upload"),
    "websocket": ("echo",),
    "database": ("database",),
    "process": ("rest", "idle", "start"),
    "choice": ("choice",),
}


def case_of(point: str) -> str:
    """Return the name of the case or measurement that a point of the results belongs to."""
    return next((name for name, points in SPECIAL.items() if point in points), point.split("@")[0])


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
