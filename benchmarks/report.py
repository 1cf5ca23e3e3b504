"""Results to Markdown: a table per figure, and the table of ratios.

python benchmarks/report.py [RESULTS.json ...]

Of several results the first is reported; TurboAPI's figures of all (as on other Pythons) stand beside each other.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import special
from cases import CASES
from check import judge
from peers import PEERS

__all__ = ["markdown"]

LATEST = Path(__file__).parent / "results" / "latest.json"
# The order of the columns.
SERVERS = ("turboapi", "django-bolt", "granian", "robyn", "uvicorn", "turboapi-fasthttp", "fasthttp")

Row = tuple[str, dict[str, Any]]
Cell = Callable[[dict[str, Any]], str]


def markdown(results: dict[str, Any], others: Iterable[dict[str, Any]] = ()) -> str:
    """Return the whole report."""
    rows = _rows(results["points"])
    parts = [_preamble(results)]
    parts += ["## CPU per request, µs (± half of the spread)", _table(rows, _cpu)]
    parts += ["## Requests per second", _table(rows, lambda f: f"{f['rps']:,.0f}")]
    parts += ["## Latency, ms: p50 / p99", _table(rows, lambda f: f"{f['p50_ms']:.2f} / {f['p99_ms']:.2f}")]
    parts += ["## Resident memory under load, MB", _table(rows, lambda f: f"{f['rss_mb']:.0f}")]
    parts += ["## What is no plain load", _special(results["points"])]
    parts += ["## The ratios that must hold", _ratios(results["points"])]
    parts += [_beside(results, list(others))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _preamble(results: dict[str, Any]) -> str:
    machine, settings = results["machine"], results["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return f"""# Benchmark, {results["taken"]}, Python {results["python"]}

{machine["processors"]} processors ({machine["model"]}), shared by the servers and `wrk` (one thread). One worker per
server, access logs off, uvloop wherever a server runs on asyncio. Medians of {settings["rounds"]} rounds of
{settings["seconds"]} s, the servers in turn. Others used up to {results["others"]:.0%} of the processors meanwhile.

{versions}."""


def _rows(points: dict[str, Any]) -> list[Row]:
    """Return (title, server -> figures) of each load, in the order of the cases."""
    titles = {f"{case.name}@{c}": (case.title, c) for case in CASES for c in case.connections}
    ordered = sorted(
        (name for name in points if name in titles),
        key=lambda name: ([case.name for case in CASES].index(name.split("@")[0]), titles[name][1]),
    )
    return [(f"{titles[name][0]}, {titles[name][1]}", points[name]) for name in ordered]


def _table(rows: list[Row], cell: Cell) -> str:
    servers = [name for name in SERVERS if any(name in of for _, of in rows)]
    if not servers:
        return "Not measured."
    lines = ["| case, connections | " + " | ".join(PEERS[name].title for name in servers) + " |"]
    lines.append("| --- |" + " ---: |" * len(servers))
    for title, of in rows:
        cells = [_cell(of.get(name), cell) for name in servers]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(figures: dict[str, Any] | None, cell: Cell) -> str:
    if figures is None:
        return ""
    return "failed" if "failed" in figures else cell(figures)


def _cpu(figures: dict[str, Any]) -> str:
    value, spread = figures["cpu_us"], figures["cpu_us_spread"]
    return f"{value:.{2 if value < 100 else 0}f} ±{spread / 2:.0%}"


def _special(points: dict[str, Any]) -> str:
    lines = []
    loads = {f"{case.name}@{c}" for case in CASES for c in case.connections}
    for point, of in points.items():
        if point in loads:
            continue
        for server, figures in of.items():
            lines.append(f"- {point}, {PEERS[server].title}: {special.told(figures)}")
    return "\n".join(lines) or "Not measured."


def _ratios(points: dict[str, Any]) -> str:
    lines = ["| case | what | got | needed | |", "| --- | --- | ---: | ---: | --- |"]
    for verdict in judge(points):
        if verdict.bound.figure.split("/")[0] not in points:
            continue  # nobody asked for it
        got = "not measured" if verdict.value is None else f"{verdict.value:.4g}"
        bound = verdict.bound
        mark = "" if verdict.holds else "**missed**"
        lines.append(f"| {bound.case} | {bound.says} | {got} | {bound.limit} | {mark} |")
    return "\n".join(lines)


def _beside(results: dict[str, Any], others: list[dict[str, Any]]) -> str:
    if not others:
        return ""
    runs = [results, *others]
    lines = ["## TurboAPI on each Python: CPU per request, µs / requests per second", ""]
    lines.append("| case, connections | " + " | ".join(run["python"] for run in runs) + " |")
    lines.append("| --- |" + " ---: |" * len(runs))
    columns = [dict(_rows(run["points"])) for run in runs]
    for title, _ in _rows(results["points"]):
        figures = [column.get(title, {}).get("turboapi") for column in columns]
        cells = [_cell(f, lambda f: f"{f['cpu_us']:.2f} / {f['rps']:,.0f}") for f in figures]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Print results as Markdown.")
    parser.add_argument("results", nargs="*", type=Path, default=[LATEST], help="files of benchmarks/results")
    runs = [json.loads(path.read_text()) for path in parser.parse_args().results]
    print(markdown(runs[0], runs[1:]), end="")


if __name__ == "__main__":
    main()
