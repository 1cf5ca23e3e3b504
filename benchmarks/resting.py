"""Resident memory of a server at rest, after load on the same application: TurboAPI and uvicorn.

python benchmarks/resting.py [--seconds 3]
"""

from __future__ import annotations

import time

import measure
import special
from cases import CASES
from install import Python
from peers import start

__all__ = ["resting"]

LOADS = ("async", "def", "await", "typed", "post", "rows", "dependency")
# Threads and buffers go back within this time, as far as they go back at all.
REST_SECONDS = 4


def resting(python: Python, seconds: int, _rounds: int) -> special.Points:
    """Load every kind of route at 64 connections in turn, wait, and read the resident memory."""
    figures = {}
    for name in ("turboapi", "uvicorn"):
        with start(name, python) as server:
            server.wait_until_ready("/async")
            fresh = server.rss()
            for case in CASES:
                if case.name in LOADS:
                    measure.wrk(server.port, case.asked, connections=64, seconds=max(1, seconds // 2))
            loaded = server.rss()
            time.sleep(REST_SECONDS)
            figures[name] = {"fresh_mb": fresh / 1e6, "loaded_mb": loaded / 1e6, "rss_mb": server.rss() / 1e6}
    figures["turboapi"]["over_uvicorn_mb"] = figures["turboapi"]["rss_mb"] - figures["uvicorn"]["rss_mb"]
    return {"at rest": {name: {k: round(v, 1) for k, v in of.items()} for name, of in figures.items()}}


if __name__ == "__main__":
    special.main(__doc__, resting)
