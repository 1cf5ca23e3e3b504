"""Results to pictures; runs in the environment `plot`, since nothing else here needs matplotlib.

python plot.py RESULTS.json [FOLDER]

FOLDER: where the pictures of the documentation go.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

COLOURS = {
    "turboapi": "#0b6e4f",
    "turboapi-fasthttp": "#6bbf59",
    "django-bolt": "#8d5524",
    "granian": "#d1495b",
    "robyn": "#edae49",
    "uvicorn": "#00798c",
    "fasthttp": "#777777",
}
CASES = ("async@64", "def@64", "await@64", "yield@64", "typed@64", "post@64", "dependency@64", "rows@64", "raw@64")
CONNECTIONS = (1, 8, 64, 512)
# Of choice.py: route -> how it is drawn.
HANDLERS = {
    "async": ("async def", "#0b6e4f"),
    "def": ("def", "#d1495b"),
    "blocking": ("async def that blocks", "#edae49"),
}
WORK = {"quick": "returns a dict", "wait": "waits 10 ms", "compute": "computes for 4 ms"}

Points = dict[str, dict[str, dict[str, Any]]]


def bars(points: Points, figure: str, label: str, better: str, path: Path) -> None:
    """Draw a group of bars per case on a logarithmic axis."""
    cases = [case for case in CASES if case in points]
    servers = [name for name in COLOURS if any(figure in points[case].get(name, {}) for case in cases)]
    if not servers:
        return
    plot, axes = pyplot.subplots(figsize=(10, 5), layout="constrained")
    width = 0.8 / len(servers)
    for number, server in enumerate(servers):
        places, heights = [], []
        for place, case in enumerate(cases):
            value = points[case].get(server, {}).get(figure)
            if value:
                places.append(place + (number - (len(servers) - 1) / 2) * width)
                heights.append(value)
        axes.bar(places, heights, width, label=server, color=COLOURS[server])
    axes.set_xticks(range(len(cases)), [case.split("@")[0] for case in cases])
    axes.set_yscale("log")
    axes.set_ylabel(label)
    axes.set_title(f"{label}, 64 connections ({better} is better)")
    _finish(plot, axes, path)


def connections(points: Points, path: Path) -> None:
    """Draw requests/s of the dict cases over the number of connections."""
    plot, panels = pyplot.subplots(1, 2, figsize=(10, 4.5), sharey=True, layout="constrained")
    drawn = 0
    for axes, case in zip(panels, ("async", "def"), strict=True):
        for server, colour in COLOURS.items():
            line = [(c, points.get(f"{case}@{c}", {}).get(server, {}).get("rps")) for c in CONNECTIONS]
            line = [(c, rps) for c, rps in line if rps]
            if len(line) > 1:
                drawn += 1
                axes.plot(*zip(*line, strict=True), marker="o", label=server, color=colour)
        axes.set_xscale("log", base=2)
        axes.set_xticks(CONNECTIONS, [str(c) for c in CONNECTIONS])
        axes.set_yscale("log")
        axes.set_xlabel("connections")
        axes.set_title({"async": "async def, dict", "def": "def, dict"}[case])
    panels[0].set_ylabel("requests per second")
    if drawn:
        _finish(plot, panels[1], path)
    else:
        pyplot.close(plot)


def choice(points: Points, figure: str, label: str, path: Path) -> None:
    """Draw what `async def` and `def` do with each kind of work, over the number of connections."""
    plot, panels = pyplot.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
    for axes, (work, title) in zip(panels, WORK.items(), strict=True):
        for kind, (name, colour) in HANDLERS.items():
            line = [(c, points.get(f"{work} {kind}@{c}", {}).get("turboapi", {}).get(figure)) for c in CONNECTIONS]
            line = [(c, value) for c, value in line if value]
            if line:
                axes.plot(*zip(*line, strict=True), marker="o", label=name, color=colour)
        axes.set_xscale("log", base=2)
        axes.set_xticks(CONNECTIONS, [str(c) for c in CONNECTIONS])
        if work == "compute":
            axes.set_ylim(bottom=0)
        else:
            axes.set_yscale("log")
        axes.set_xlabel("connections")
        axes.set_title(title)
        axes.grid(axis="y", alpha=0.25)
    panels[0].set_ylabel(label)
    panels[1].legend(fontsize="small")
    _vector(plot, path)


def beside(points: Points, path: Path) -> None:
    """Draw the p99 of a quick `async def` route beside each kind of neighbour."""
    mark = "quick beside "
    names = [point for point in points if point.startswith(mark)]
    plot, axes = pyplot.subplots(figsize=(10, 2.6), layout="constrained")
    values = [points[name]["turboapi"]["p99_ms"] for name in names]
    texts = []
    for name in names:
        work, _, kind = name.removeprefix(mark).split("@")[0].partition(" ")
        texts.append(f"{HANDLERS[kind][0]}: {WORK[work]}" if kind else "nothing beside it")
    drawn = axes.barh(texts, values, color="#00798c")
    axes.bar_label(drawn, [f"{value:.3g} ms" for value in values], padding=3)
    axes.set_xscale("log")
    axes.margins(x=0.1)
    axes.invert_yaxis()
    axes.set_xlabel("p99 of a quick async def route, ms")
    _vector(plot, path)


def _vector(plot: Any, path: Path) -> None:
    """Write a picture whose bytes depend on its figures only; its text stays text."""
    with pyplot.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.name, "font.family": "sans-serif"}):
        plot.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(plot)


def _finish(plot: Any, axes: Any, path: Path) -> None:
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    for one in plot.axes:
        one.grid(axis="y", which="both", alpha=0.25)
        one.set_axisbelow(True)
    plot.savefig(path, dpi=110)
    pyplot.close(plot)


def main() -> None:
    source = Path(sys.argv[1])
    points: Points = json.loads(source.read_text())["points"]
    bars(points, "cpu_us", "CPU per request, µs", "less", source.with_name(source.stem + "-cpu.png"))
    bars(points, "rps", "requests per second", "more", source.with_name(source.stem + "-rps.png"))
    connections(points, source.with_name(source.stem + "-connections.png"))
    if "quick async@1" in points:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else source.parent
        folder.mkdir(exist_ok=True)
        choice(points, "rps", "requests per second", folder / "def-or-async-requests.svg")
        choice(points, "p99_ms", "p99, ms", folder / "def-or-async-p99.svg")
        beside(points, folder / "def-or-async-beside.svg")


if __name__ == "__main__":
    main()
