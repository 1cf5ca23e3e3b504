"""The ratios that must hold, as data, and how results are held against them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from cases import case_of

__all__ = ["BOUNDS", "Bound", "Verdict", "judge", "needed"]

# A figure is written "point/server/figure" and looked up in the results' "points".


@dataclass(frozen=True, slots=True)
class Bound:
    """One line: `figure`, divided by `over` where that is given, is at least or at most `limit`.

    less: a figure that is taken off both before.
    instead: another bound that does as well.
    """

    case: str
    says: str
    figure: str
    at_most: float | None = None
    at_least: float | None = None
    over: str | None = None
    less: str | None = None
    instead: Bound | None = None

    def value(self, points: dict[str, Any]) -> float:
        """Return what was measured. Raises LookupError with the reason when it was not."""
        off = 0.0 if self.less is None else _figure(points, self.less)
        got = _figure(points, self.figure) - off
        if self.over is None:
            return got
        return got / ((_figure(points, self.over) - off) or float("nan"))

    def holds(self, value: float) -> bool:
        """Return whether a value is within the bound."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    @property
    def limit(self) -> str:
        return f"at most {self.at_most:g}" if self.at_most is not None else f"at least {self.at_least:g}"

    def figures(self) -> list[str]:
        """Return every figure that the line needs."""
        own = [figure for figure in (self.figure, self.over, self.less) if figure is not None]
        return own + ([] if self.instead is None else self.instead.figures())


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bound, and what came of it: a value, or why there is none."""

    bound: Bound
    value: float | None
    missing: str | None
    holds: bool

    def __str__(self) -> str:
        got = self.missing if self.value is None else f"{self.value:.4g}"
        return f"{self.bound.case}: {self.bound.says}: {got} ({self.bound.limit})"


def judge(points: dict[str, Any], cases: Collection[str] = ()) -> list[Verdict]:
    """Hold the results against every bound, in order; against those of some cases only where these are named."""
    return [_judge(bound, points) for bound in BOUNDS if not cases or _is_of(bound, cases)]


def _is_of(bound: Bound, cases: Collection[str]) -> bool:
    """Return whether everything a bound needs is among what was asked for: a case's name, or with its connections."""
    points = {figure.split("/")[0] for figure in bound.figures()}
    return all(point in cases or case_of(point) in cases for point in points)


def needed() -> list[tuple[str, str]]:
    """Return the (point, server) pairs that the bounds speak of: what the short form measures."""
    paths = [path.split("/") for bound in BOUNDS for path in bound.figures()]
    return list(dict.fromkeys((point, server) for point, server, _ in paths))


def _judge(bound: Bound, points: dict[str, Any]) -> Verdict:
    try:
        value = bound.value(points)
    except LookupError as error:
        verdict = Verdict(bound, None, str(error.args[0]), False)
    else:
        verdict = Verdict(bound, value, None, bound.holds(value))
    if not verdict.holds and bound.instead is not None:
        other = _judge(bound.instead, points)
        if other.holds:
            return other
    return verdict


def _figure(points: dict[str, Any], path: str) -> float:
    point, server, name = path.split("/")
    figures = points.get(point, {}).get(server)
    if figures is None:
        raise LookupError(f"{server} was not measured at {point}")
    if "failed" in figures:
        raise LookupError(f"{server} failed at {point}: {figures['failed'].splitlines()[0]}")
    return float(figures[name])


def _against(case: str, point: str, figure: str, peers: dict[str, float]) -> Iterable[Bound]:
    """Return a line per server: our figure over that server's."""
    words = {"cpu_us": "CPU per request over that of", "rps": "requests/s over those of"}
    for peer, limit in peers.items():
        edge = {"at_most" if figure == "cpu_us" else "at_least": limit}
        yield Bound(
            case,
            f"{words[figure]} {peer}",
            f"{point}/turboapi/{figure}",
            over=f"{point}/{peer}/{figure}",
            **edge,
        )


def _adds(case: str, point: str, limit: float) -> Bound:
    """Return the line for what a request costs more than one of the case `plain`."""
    words, plain = "us of CPU more than the route without it", "plain@64/turboapi/cpu_us"
    return Bound(case, words, f"{point}/turboapi/cpu_us", less=plain, at_most=limit)


BOUNDS: tuple[Bound, ...] = (
    *_against("async def, dict", "async@64", "cpu_us", {"fasthttp": 1.05, "django-bolt": 0.72}),
    *_against("async def, dict", "async@64", "rps", {"uvicorn": 13, "django-bolt": 1.35}),
    *(
        Bound(
            "async def against def",
            f"requests/s over those of def, at {connections}",
            f"async@{connections}/turboapi/rps",
            over=f"def@{connections}/turboapi/rps",
            at_least=0.95,
        )
        for connections in (1, 64, 512)
    ),
    Bound(
        "async def against def",
        "p50 of def over that of async def, at 1",
        "def@1/turboapi/p50_ms",
        over="async@1/turboapi/p50_ms",
        at_most=1.5,
    ),
    *_against("def, dict", "def@64", "rps", {"uvicorn": 22, "django-bolt": 1.1}),
    *_against("def, dict", "def@64", "cpu_us", {"django-bolt": 0.92}),
    *_against("awaiting a coroutine", "await@64", "cpu_us", {"django-bolt": 0.6}),
    *_against("await asyncio.sleep(0)", "yield@64", "cpu_us", {"django-bolt": 0.7}),
    *_against("typed path and query", "typed@64", "cpu_us", {"django-bolt": 0.68}),
    *_against("POST, model in and out", "post@64", "cpu_us", {"django-bolt": 0.75}),
    *_against("100 rows, response model", "rows@64", "rps", {"uvicorn": 2}),
    *_against("100 rows, POST in and out", "rows-post@64", "rps", {"uvicorn": 2}),
    *_against("sync dependency, async route", "dependency@64", "rps", {"uvicorn": 12}),
    *_against("def, sync and sync yield dependency", "def-depends@64", "rps", {"uvicorn": 40}),
    *_against("async def, sync yield dependency", "sync-yield@64", "rps", {"uvicorn": 12}),
    *_against("async def, async yield dependency", "async-yield@64", "rps", {"uvicorn": 10}),
    *_against("middleware that sets a header", "header@64", "rps", {"uvicorn": 20}),
    _adds("middleware that sets a header", "header@64", 12),
    *_against("the same, CORS, GZip, session cookie", "layers@64", "rps", {"uvicorn": 12}),
    _adds("background task, async def", "background@64", 12),
    *_against("the same, the session changed", "layers-changed@64", "rps", {"uvicorn": 12}),
    *_against("background task, def", "background-def@64", "rps", {"uvicorn": 15}),
    _adds("background task, def", "background-def@64", 12),
    *_against("stream of 20 chunks", "stream@64", "rps", {"uvicorn": 8}),
    *_against("upload of 10 MB", "upload@4", "rps", {"uvicorn": 3}),
    Bound("upload of 10 MB", "MB that memory grows over the rounds", "upload@4/turboapi/rss_grown_mb", at_most=2),
    *_against("application with PostgreSQL", "database@64", "rps", {"uvicorn": 2}),
    Bound(
        "application with PostgreSQL",
        "CPU per request without asyncpg and pydantic, over that of uvicorn",
        "database@64/turboapi/cpu_us",
        over="database@64/uvicorn/cpu_us",
        less="asyncpg and pydantic alone@64/turboapi/cpu_us",
        at_most=0.3,
    ),
    Bound(
        "await asyncio.sleep(0.01)",
        "requests/s at 256 connections",
        "sleep@256/turboapi/rps",
        at_least=22_500,
        instead=Bound(
            "await asyncio.sleep(0.01)",
            "requests/s over those of django-bolt, 256 connections",
            "sleep@256/turboapi/rps",
            over="sleep@256/django-bolt/rps",
            at_least=0.95,
        ),
    ),
    *_against("await asyncio.sleep(0.01)", "sleep@256", "cpu_us", {"django-bolt": 0.4}),
    Bound("time.sleep(0.01) in def", "requests/s at 64 connections", "block@64/turboapi/rps", at_least=0.9 * 6_400),
    Bound("time.sleep(0.01) in def", "requests/s at 512 connections", "block@512/turboapi/rps", at_least=0.75 * 25_600),
    Bound(
        "0.1% of def calls sleep 50 ms",
        "share of calls that wait more than 2 ms for a thread",
        "rare@64/turboapi/late",
        at_most=0.0001,
    ),
    Bound(
        "async def beside sleeping def",
        "p99 over that alone",
        "beside sleeping def@32/turboapi/p99_ms",
        over="alone@32/turboapi/p99_ms",
        at_most=2,
    ),
    Bound(
        "async def beside a computing def",
        "ms of p99 above that alone",
        "beside computing def@32/turboapi/p99_added_ms",
        at_most=5,
    ),
    *_against("raw ASGI", "raw@64", "rps", {"granian": 1.8, "uvicorn": 2}),
    *_against("WebSocket echo", "echo@64", "rps", {"granian-ws": 1.2, "uvicorn": 3}),
    Bound("memory", "MB at rest above uvicorn with the same app", "at rest/turboapi/over_uvicorn_mb", at_most=14),
    Bound("memory", "bytes of an idle connection, reactor", "idle/turboapi/bytes", at_most=2_048),
    Bound("memory", "bytes of an idle connection, fasthttp", "idle/turboapi-fasthttp/bytes", at_most=20_480),
    Bound("start", "ms to the first answer above the app's own import", "start/turboapi/over_import_ms", at_most=150),
)
