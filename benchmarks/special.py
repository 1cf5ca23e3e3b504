"""What the measurements that are no plain load have in common: the form of their results, and running them alone."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from install import Python

__all__ = ["Measured", "Points", "main", "told"]

# point -> server -> figure -> value, as in the results' "points".
Points = dict[str, dict[str, dict[str, Any]]]
# (python, seconds of a load, rounds) -> points
Measured = Callable[[Python, int, int], Points]


def told(figures: dict[str, Any]) -> str:
    """Return figures as a line of text."""
    return ", ".join(f"{name} {_short(value)}" for name, value in figures.items() if name != "runs")


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value).split("\n")[0]


def main(about: str | None, *measurements: Measured) -> None:
    """Take measurements by themselves, and print them as JSON."""
    parser = argparse.ArgumentParser(description=(about or "").split("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="the Python that runs TurboAPI (default: this one)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of each load (default: 3)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: 3)")
    given = parser.parse_args()
    python = Python(given.python)
    for take in measurements:
        points = take(python, given.seconds, given.rounds)
        for of in points.values():
            for figures in of.values():
                figures.pop("runs", None)
        print(json.dumps(points, indent=1))
