"""Who waits for whom: `def` calls beside slow `def` calls, `async def` beside sleeping and beside computing ones.

python benchmarks/fairness.py [--seconds 3] [--rounds 3]
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from statistics import median
from typing import Any

import measure
import special
from counted import PIPES, counters
from install import Python
from peers import start, start_counted
from processes import Process, get

__all__ = ["mixed", "rare"]


def rare(python: Python, seconds: int, rounds: int) -> special.Points:
    """Let one `def` call in a thousand sleep 50 ms, and count in the server how many others wait for a thread.

    The sleepers themselves may wait too; a bound of 1 in 10,000 counts them, so it is the stricter for it.
    """
    with start_counted(python, **PIPES) as server:
        server.wait_until_ready("/def")
        measure.wrk(server.port, "/rare", connections=64, seconds=1)
        before = counters(server.popen)
        runs = [measure.measure(server, "/rare", connections=64, seconds=seconds) for _ in range(rounds)]
        after = counters(server.popen)
    made: dict[str, Any] = {
        name: after[name] - before[name]
        for name in ("calls", "call_waited_1ms", "call_waited_2ms", "call_waited_5ms", "call_refused")
    }
    late = made["call_waited_2ms"] / max(1, made["calls"])
    threads = after["call_threads"]
    return {"rare@64": {"turboapi": measure.summary(runs) | made | {"late": late, "threads": threads}}}


def mixed(python: Python, seconds: int, rounds: int) -> special.Points:
    """Measure `async def` at 32 connections: alone, beside `def` calls that sleep at 64, beside one that computes."""
    surroundings: dict[str, Callable[[Process, int], object]] = {
        "alone@32": lambda _server, _seconds: None,
        "beside sleeping def@32": _sleep_beside,
        "beside computing def@32": _compute_beside,
    }
    runs: dict[str, list[measure.Run]] = {name: [] for name in surroundings}
    with start("turboapi", python) as server, ThreadPoolExecutor(1) as pool:
        server.wait_until_ready("/async")
        measure.wrk(server.port, "/block", connections=64, seconds=1)
        measure.wrk(server.port, "/async", connections=32, seconds=1)
        for _ in range(rounds):
            for name, surround in surroundings.items():
                beside: Future[object] = pool.submit(surround, server, seconds)
                runs[name].append(measure.measure(server, "/async", connections=32, seconds=seconds))
                # Without these requests the figure would mean something else: their failure is ours.
                beside.result()
    alone = median(run.p99_ms for run in runs["alone@32"])
    points: special.Points = {}
    for name, of in runs.items():
        figures = measure.summary(of)
        # Processor time of the requests beside it is in there too: no figure of these requests.
        del figures["cpu_us"], figures["cpu_us_spread"]
        figures["p99_added_ms"] = round(figures["p99_ms"] - alone, 3)
        points[name] = {"turboapi": figures}
    return points


def _sleep_beside(server: Process, seconds: int) -> object:
    return measure.wrk(server.port, "/block", connections=64, seconds=seconds + 1)


def _compute_beside(server: Process, seconds: int) -> object:
    status, body = get(server.port, f"/spin?seconds={seconds + 0.5}", timeout=seconds + 30)
    if status != 200:
        raise measure.LoadFailed(f"/spin was answered with {status}: {body[:200]!r}")
    return body


if __name__ == "__main__":
    special.main(__doc__, rare, mixed)
