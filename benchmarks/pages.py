"""Results into the documentation: the tables of README.md and docs/, between marks that name them.

python benchmarks/pages.py [RESULTS.json]

    <!-- figures: NAME -->
    what is replaced
    <!-- end -->

What a page says about its figures in words is for a person to look at again.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cases import CASES
from check import BOUNDS, Bound, judge
from install import ROOT
from report import LATEST

__all__ = ["fill", "tables"]

PAGES = ("README.md", "docs/performance.md", "docs/def-or-async.md")
# The rows of the two tables of loads, as points of the results. Titles of cases are theirs.
SUMMARY = ("async@64", "def@64", "await@64", "yield@64", "typed@64", "post@64", "rows@64", "dependency@64", "sleep@256")
SUMMARY += ("raw@64", "echo@64")
WHOLE = ("dependency@64", "def-depends@64", "sync-yield@64", "async-yield@64", "header@64", "layers@64")
WHOLE += ("layers-changed@64", "background@64", "background-def@64", "stream@64", "rows@64", "rows-post@64")
WHOLE += ("upload@4", "echo@64", "database@64")
TITLES = {
    "echo@64": "WebSocket echo, 128 bytes of text",
    "database@64": "token, `yield` session, 2 middlewares, PostgreSQL row, model",
}
TITLES |= {f"{case.name}@{c}": case.title for case in CASES for c in case.connections}

Points = dict[str, dict[str, dict[str, Any]]]


def tables(results: dict[str, Any]) -> dict[str, str]:
    """Return each table by its name; one without figures is left out."""
    makers: dict[str, Callable[[Points], list[list[str]]]] = {
        "summary": _summary,
        "whole": _whole,
        "adds": _adds,
        "rows": _rows,
        "missed": _missed,
        "beside": _beside,
    }
    made = {name: make(results["points"]) for name, make in makers.items()}
    return {name: _markdown(lines) for name, lines in made.items() if len(lines) > 1}


def fill(results: dict[str, Any], root: Path = ROOT) -> list[str]:
    """Put the tables into the pages that have marks for them; return the names of the pages."""
    made, changed = tables(results), []
    for name in PAGES:
        page = root / name
        old = page.read_text()
        new = re.sub(
            r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)",
            lambda found: f"{found[1]}{made[found[2]]}\n{found[3]}" if found[2] in made else found[0],
            old,
            flags=re.DOTALL,
        )
        if new != old:
            page.write_text(new)
            changed.append(name)
    return changed


def _summary(points: Points) -> list[list[str]]:
    head = ["case", "CPU, of FastAPI on uvicorn", "CPU, of django-bolt 0.13", "requests/s, x uvicorn", "x django-bolt"]
    lines = [[*head, "x granian"]]
    for point in SUMMARY:
        if not _good(points, point, "turboapi"):
            continue
        title = TITLES[point] + ("" if point.endswith("@64") else f", {point.split('@')[1]} connections")
        cpu = [_over(points, point, peer, "cpu_us", ".2f") for peer in ("uvicorn", "django-bolt")]
        granian = _over(points, point, "granian", "rps") or _over(points, point, "granian-ws", "rps")
        lines.append([title, *cpu, *(_over(points, point, p, "rps") for p in ("uvicorn", "django-bolt")), granian])
    return lines


def _whole(points: Points) -> list[list[str]]:
    lines = [["case", "TurboAPI", "FastAPI on uvicorn", "requests/s, x", "asked"]]
    asked = {_point(b): b for b in BOUNDS if b.over and b.over.endswith("/uvicorn/rps")}
    for point in WHOLE:
        if _good(points, point, "turboapi") and _good(points, point, "uvicorn"):
            both = [_each(points[point][server]) for server in ("turboapi", "uvicorn")]
            limit = f"{asked[point].at_least:g}" if point in asked else ""
            lines.append([TITLES[point], *both, _over(points, point, "uvicorn", "rps"), limit])
    return lines


def _adds(points: Points) -> list[list[str]]:
    """Return what is measured against something other than uvicorn's requests/s."""
    wanted = [b for b in BOUNDS if b.less is not None or b.figure.endswith("grown_mb")]
    lines = [["case", "what", "measured", "asked"]]
    got = {id(verdict.bound): verdict.value for verdict in judge(points)}
    for bound in wanted:
        value = got.get(id(bound))
        if value is not None:
            lines.append([bound.case, bound.says, f"{value:.3g}", bound.limit])
    return lines


def _rows(points: Points) -> list[list[str]]:
    floor = points.get("pydantic-core for 100 rows", {}).get("turboapi", {})
    names = {"read": "reads 6.5 KB of JSON", "check": "checks 100 instances", "json": "writes 5.6 KB of JSON"}
    lines = [["CPU, us", "out: TurboAPI", "uvicorn", "in and out: TurboAPI", "uvicorn"]]
    both = [_good(points, p, s) for p in ("rows@64", "rows-post@64") for s in ("turboapi", "uvicorn")]
    if not all(both) or "read_us" not in floor:
        return lines
    for name, says in names.items():
        us = f"{floor[name + '_us']:.1f}"
        lines.append([f"pydantic-core {says}", *(["", ""] if name == "read" else [us, us]), us, us])
    whole = [points[p][s]["cpu_us"] for p in ("rows@64", "rows-post@64") for s in ("turboapi", "uvicorn")]
    floors = [floor["out_us"], floor["out_us"], floor["in_out_us"], floor["in_out_us"]]
    lines.append(["all the rest", *(f"{w - f:.1f}" for w, f in zip(whole, floors, strict=True))])
    lines.append(["together", *(f"{w:.1f}" for w in whole)])
    return lines


def _missed(points: Points) -> list[list[str]]:
    lines = [["what", "asked", "measured"]]
    for verdict in judge(points):
        if not verdict.holds and verdict.value is not None:
            bound = verdict.bound
            value = f"{verdict.value:,.0f}" if verdict.value >= 1000 else f"{verdict.value:.3g}"
            lines.append([f"{bound.case}: {bound.says}", bound.limit, value])
    return lines


def _beside(points: Points) -> list[list[str]]:
    lines = [["beside", "requests/s", "p50, ms", "p99, ms"]]
    for point, of in points.items():
        if point.startswith("quick beside "):
            f = of["turboapi"]
            neighbour = point.removeprefix("quick beside ").split("@")[0]
            lines.append([neighbour, f"{f['rps']:,.0f}", f"{f['p50_ms']:.2f}", f"{f['p99_ms']:.2f}"])
    return lines


def _point(bound: Bound) -> str:
    return bound.figure.split("/")[0]


def _good(points: Points, point: str, server: str) -> bool:
    return "cpu_us" in points.get(point, {}).get(server, {})


def _over(points: Points, point: str, server: str, figure: str, form: str = "") -> str:
    """Return our figure over a server's, or nothing."""
    if not _good(points, point, server):
        return ""
    ratio = points[point]["turboapi"][figure] / points[point][server][figure]
    return f"{ratio:{form or ('.0f' if ratio >= 10 else '.1f')}}"


def _each(figures: dict[str, Any]) -> str:
    cpu = figures["cpu_us"]
    took = f"{cpu / 1000:.1f} ms" if cpu >= 1000 else f"{cpu:.{0 if cpu >= 100 else 1}f} us"
    return f"{took}, {figures['rps']:,.0f}/s"


def _markdown(lines: list[list[str]]) -> str:
    head, *rest = lines
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rest))


def main() -> None:
    parser = argparse.ArgumentParser(description="Put the figures of results into the pages of the documentation.")
    parser.add_argument("results", nargs="?", type=Path, default=LATEST, help="a file of benchmarks/results")
    results = json.loads(parser.parse_args().results.read_text())
    for name, table in tables(results).items():
        print(f"{name}\n\n{table}\n")
    print("changed: " + (", ".join(fill(results)) or "nothing"))


if __name__ == "__main__":
    main()
