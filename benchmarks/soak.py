"""Half an hour of mixed load: memory stays flat, and no exchange is lost (`make soak`).

python benchmarks/soak.py [--minutes 30] [--transport auto]

wrk changes its route and its number of connections every few seconds; beside it clients check every answer against
its request (soak_client.py). In the end nothing may be left: no exchange, no connection, no descriptor.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import measure
from cases import CASES, LOAD
from counted import PIPES, counters
from install import Python
from peers import start_counted
from processes import Asked, DidNotStart, Process
from soak_client import Checker, Wrong

RESULTS = Path(__file__).parent / "results"
LOADS: tuple[tuple[Asked, int, str | None], ...] = (
    (Asked("/async"), 64, None),
    (Asked("/def"), 64, None),
    (next(case.asked for case in CASES if case.name == "post"), 32, None),
    (Asked("/sleep"), 256, None),
    (Asked("/block"), 300, None),
    (Asked("/rows"), 8, None),
    (Asked("/async"), 128, "mix.lua"),
    (Asked("/stream"), 32, None),
    (Asked("/rare"), 64, None),
    (Asked("/items/1?q=x"), 512, None),
    (Asked("/yield"), 1, None),
)
LOAD_SECONDS = 10
CLIENTS = 24
SAMPLES = 180
# What may stay: a few pages per heap arena are neither ours to give back nor a leak.
GROWTH_MB, GROWTH_SHARE = 3.0, 0.02
# Descriptors that come and go by themselves: an epoll, an eventfd, a pipe.
SPARE_DESCRIPTORS = 4
DRAIN_SECONDS = 30
COUNTERS_SECONDS = 30


class Soak:
    """One run: the server, what is going on, and what was seen."""

    def __init__(self, server: Process, seconds: float) -> None:
        self.server = server
        self.seconds = seconds
        self.began = time.monotonic()
        self.stop = asyncio.Event()
        self.checkers = [Checker(server.port, seed) for seed in range(CLIENTS)]
        self.samples: list[dict[str, Any]] = []
        self.failures: list[str] = []
        self.loaded = 0

    async def run(self) -> None:
        """Load until the time is over or something went wrong; then look at what is left."""
        before = await self.sample()
        tasks = [asyncio.create_task(self._check(checker)) for checker in self.checkers]
        tasks += [asyncio.create_task(self._load()), asyncio.create_task(self._watch())]
        try:
            async with asyncio.timeout(self.seconds):
                await self.stop.wait()
        except TimeoutError:
            pass
        self.stop.set()
        await asyncio.gather(*tasks)
        await self._drain(before)

    async def sample(self) -> dict[str, Any]:
        """Return what the server uses and counts now."""
        server = self.server
        asked = asyncio.create_task(asyncio.to_thread(counters, server.popen))
        _done, waiting = await asyncio.wait([asked], timeout=COUNTERS_SECONDS)
        if waiting:
            # Its end ends the thread that reads, too.
            server.popen.kill()
            self._fail(f"the server's counters did not come within {COUNTERS_SECONDS} s")
        stats = await asked
        return {
            "second": round(time.monotonic() - self.began, 1),
            "rss_mb": round(server.rss() / 1e6, 2),
            "descriptors": server.descriptors(),
            "threads": server.threads(),
            "stats": stats,
        }

    async def _check(self, checker: Checker) -> None:
        try:
            await checker.run(self.stop)
        except (Wrong, OSError) as error:
            self._fail(f"{type(error).__name__}: {error}")

    async def _load(self) -> None:
        for asked, connections, script in itertools.cycle(LOADS):
            if self.stop.is_set():
                return
            lua = None if script is None else str(LOAD / script)
            try:
                load = await asyncio.to_thread(
                    measure.wrk, self.server.port, asked, connections=connections, seconds=LOAD_SECONDS, lua=lua
                )
            except measure.LoadFailed as error:
                self._fail(f"wrk, {asked.path} at {connections}: {error}")
            else:
                self.loaded += load.requests

    async def _watch(self) -> None:
        said = 0.0
        while not self.stop.is_set():
            try:
                async with asyncio.timeout(self.seconds / SAMPLES):
                    await self.stop.wait()
            except TimeoutError:
                pass
            try:
                self.samples.append(await self.sample())
            except (OSError, ValueError):  # no such process, no JSON: it is gone
                self._fail(f"the server ended:\n{self.server.tail()}")
                return
            if time.monotonic() - said > 60:
                said = time.monotonic()
                self._say()

    async def _drain(self, before: dict[str, Any]) -> None:
        """Wait until nothing is left of what the clients did, and note what does not go."""
        if self.server.popen.poll() is not None:
            return
        end = time.monotonic() + DRAIN_SECONDS
        while True:
            now = await self.sample()
            left = {name: now["stats"][name] for name in ("in_flight", "exchanges_live", "connections", "call_queued")}
            extra = now["descriptors"] - before["descriptors"]
            if not any(left.values()) and extra <= SPARE_DESCRIPTORS:
                break
            if time.monotonic() > end:
                self._fail(f"left after {DRAIN_SECONDS} s: {left}, {extra} descriptors more than before")
                break
            await asyncio.sleep(0.25)
        self.samples.append(now)
        if now["stats"]["panics"] or now["stats"]["responses_5xx"]:
            self._fail(f"{now['stats']['panics']} panics, {now['stats']['responses_5xx']} answers of 500 and above")

    def _fail(self, reason: str) -> None:
        self.failures.append(reason)
        self.stop.set()

    def _say(self) -> None:
        last = self.samples[-1]
        print(
            f"{last['second'] / 60:5.1f} min  {last['rss_mb']:7.2f} MB  {last['descriptors']:4} descriptors "
            f"{last['threads']:4} threads  {sum(c.answered for c in self.checkers):,} answers checked, "
            f"{self.loaded:,} from wrk",
            flush=True,
        )


def growth(samples: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the resident MB early (30 to 50% of the run: everything has been used once) and late (its last fifth)."""
    rss = [sample["rss_mb"] for sample in samples]
    count = len(rss)
    return median(rss[count * 3 // 10 : count // 2 + 1]), median(rss[count * 8 // 10 :])


def main() -> int:
    parser = argparse.ArgumentParser(description="Mixed load for a long time: flat memory, no lost exchange.")
    parser.add_argument("--minutes", type=float, default=30, help="how long (default: 30)")
    parser.add_argument("--transport", default="auto", choices=("auto", "reactor", "fasthttp"))
    parser.add_argument("--python", default=sys.executable, help="the Python that runs TurboAPI (default: this one)")
    given = parser.parse_args()
    missing = measure.have_wrk()
    if missing:
        print(f"turboapi: {missing}", file=sys.stderr)
        return 2
    with start_counted(Python(given.python), given.transport, **PIPES) as server:
        try:
            server.wait_until_ready("/async")
        except DidNotStart as trouble:
            print(f"turboapi: {trouble}", file=sys.stderr)
            return 2
        soak = asyncio.run(_run(server, 60 * given.minutes))
    early, late = growth(soak.samples)
    allowed = early * (1 + GROWTH_SHARE) + GROWTH_MB
    if late > allowed:
        soak.failures.append(f"resident memory grew from {early:.1f} to {late:.1f} MB ({allowed:.1f} are allowed)")
    sent, answered = sum(c.sent for c in soak.checkers), sum(c.answered for c in soak.checkers)
    if sent != answered:
        soak.failures.append(f"{sent:,} requests were sent and {answered:,} answered")
    RESULTS.mkdir(exist_ok=True)
    record = {"minutes": given.minutes, "transport": given.transport, "sent": sent, "answered": answered}
    record |= {"from_wrk": soak.loaded, "failures": soak.failures, "samples": soak.samples}
    (RESULTS / "soak.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{answered:,} answers checked, {soak.loaded:,} from wrk; {early:.1f} MB early, {late:.1f} MB late")
    for failure in soak.failures:
        print(f"FAILED {failure}")
    return 1 if soak.failures else 0


async def _run(server: Process, seconds: float) -> Soak:
    soak = Soak(server, seconds)
    await soak.run()
    return soak


if __name__ == "__main__":
    sys.exit(main())
