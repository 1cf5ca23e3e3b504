"""`def` or `async def`: the same work in both, and what an `async def` route feels of its neighbours.

python benchmarks/choice.py [--seconds 3] [--rounds 3]
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import measure
import special
from install import Python
from peers import start
from processes import Process

__all__ = ["BESIDE", "ROUTES", "choice"]

# Each at so many connections. What can do but a hundred requests a second answers no 512 of them in a short run.
MANY, FEW = (1, 8, 64, 512), (1, 8, 64)
ROUTES = {
    "quick/async": MANY,
    "quick/def": MANY,
    "wait/async": MANY,
    "wait/def": MANY,
    "wait/blocking": FEW,
    "compute/async": FEW,
    "compute/def": FEW,
}
# What runs while /quick/async is measured, at so many connections each.
BESIDE = ("wait/async", "wait/def", "wait/blocking", "compute/async", "compute/def")
NEIGHBOURS, QUICK = 16, 32


def choice(python: Python, seconds: int, rounds: int) -> special.Points:
    """Measure every route at every number of connections, once, then `async def` beside the others; TurboAPI only."""
    points: special.Points = {}
    with start("turboapi", python, "choice") as server, ThreadPoolExecutor(1) as pool:
        server.wait_until_ready("/quick/async")
        for route, numbers in ROUTES.items():
            for connections in numbers:
                measure.wrk(server.port, f"/{route}", connections=connections, seconds=1)
                run = measure.measure(server, f"/{route}", connections=connections, seconds=seconds)
                points[f"{route.replace('/', ' ')}@{connections}"] = {"turboapi": measure.summary([run])}
        for neighbour in ("nothing", *BESIDE):
            runs = []
            for _ in range(rounds):
                beside = None if neighbour == "nothing" else pool.submit(_neighbour, server, neighbour, seconds + 1)
                runs.append(measure.measure(server, "/quick/async", connections=QUICK, seconds=seconds))
                if beside is not None:
                    beside.result()
            figures = measure.summary(runs)
            # The neighbours' processor time is in there too.
            del figures["cpu_us"], figures["cpu_us_spread"]
            points[f"quick beside {neighbour.replace('/', ' ')}@{QUICK}"] = {"turboapi": figures}
    return points


def _neighbour(server: Process, route: str, seconds: int) -> object:
    return measure.wrk(server.port, f"/{route}", connections=NEIGHBOURS, seconds=seconds)


if __name__ == "__main__":
    special.main(__doc__, choice)
