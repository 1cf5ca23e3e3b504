"""Measures TurboAPI beside other servers: `make bench`, `make bench-check`.

The servers of a case run at the same time and are loaded in turn, round by round, so that what disturbs the machine
disturbs all of them. Medians over the rounds go to benchmarks/results/ as JSON, Markdown and pictures.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any

import check
import measure
import pages
import report
import special
from cases import PARTS, SPECIAL, Measurement, Plan, plan
from choice import choice
from database import database
from echo import echo
from fairness import mixed, rare
from idle_connections import idle
from install import ROOT, NotAvailable, Python, versions
from peers import PEERS, start
from processes import DidNotStart, Process
from resting import resting
from rows_floor import floor
from startup import startup

RESULTS = Path(__file__).parent / "results"
PICTURES = ROOT / "docs" / "pictures"
# The Python whose figures are the curated ones.
PINNED = (3, 13)
SPECIAL_RUNS: dict[str, special.Measured] = {
    "echo": echo,
    "database": database,
    "rare": rare,
    "mixed": mixed,
    "rest": resting,
    "idle": idle,
    "start": startup,
    "floor": floor,
    "choice": choice,
}
# What a server can do to a measurement; it is noted, and the run goes on.
TROUBLE = (
    DidNotStart,
    NotAvailable,
    measure.LoadFailed,
    OSError,
    HTTPException,
    ValueError,
    subprocess.SubprocessError,
)


class Bench:
    """One run: what was asked for, and the figures so far."""

    def __init__(self, given: argparse.Namespace, python: Python) -> None:
        self.given = given
        self.python = python
        self.points: special.Points = {}
        self.others = 0.0
        self.end = time.monotonic() + 60 * given.minutes
        self.cut: list[str] = []

    def late(self, what: str) -> bool:
        """Return whether the time is over, and note what is left out because of it."""
        if time.monotonic() < self.end:
            return False
        say(f"{what}: left out, {self.given.minutes:g} minutes are over")
        self.cut.append(what)
        return True

    def take(self, group: Plan) -> None:
        """Measure a group: every server starts, then rounds over all of them, forwards and backwards in turn."""
        say(f"\n{group.title}")
        with contextlib.ExitStack() as stack:
            servers = self._start(group, stack)
            ready = [m for m in group.measurements if (m.peer, m.case.app) in servers and self._answers(m, servers)]
            runs: dict[Measurement, list[measure.Run]] = {m: [] for m in ready}
            for m in ready:
                self._load(m, servers, 1)
            for number in range(self.given.rounds):
                for m in ready if number % 2 == 0 else reversed(ready):
                    if m.peer not in self.points.get(m.point, {}):  # failed before
                        run = self._load(m, servers, self.given.seconds)
                        if run is not None:
                            runs[m].append(run)
        for m, of in runs.items():
            if m.peer in self.points.get(m.point, {}):
                continue
            figures = measure.summary(of)
            self.others = max(self.others, figures["others"])
            self._note(m, figures)
            say(
                f"  {m.point:13} {m.peer:17} {figures['cpu_us']:8.2f} us ±{figures['cpu_us_spread'] / 2:<4.0%}"
                f"{figures['rps']:10,.0f}/s ±{figures['rps_spread'] / 2:<4.0%} p50 {figures['p50_ms']:.3f} ms,"
                f" p99 {figures['p99_ms']:.3f} ms, {figures['rss_mb']:.0f} MB"
            )

    def special(self, name: str) -> None:
        """Take one of the measurements that are no plain load."""
        say(f"\n{name}")
        try:
            points = SPECIAL_RUNS[name](self.python, self.given.seconds, self.given.rounds)
        except TROUBLE as trouble:
            say(f"  failed: {trouble}")
            self.points[name] = {"turboapi": {"failed": str(trouble)}}
            return
        self.points.update(points)
        for point, of in points.items():
            for peer, figures in of.items():
                say(f"  {point}, {peer}: {special.told(figures)}")

    def results(self) -> dict[str, Any]:
        """Return everything for the JSON file."""
        shared = {name: self.python.packages[name] for name in ("fastapi", "pydantic", "uvloop", "turboapi")}
        return {
            "version": 1,
            "taken": datetime.date.today().isoformat(),
            "python": ".".join(map(str, self.python.version)),
            "machine": {"processors": os.cpu_count(), "model": processor()},
            "versions": shared | versions(),
            "settings": {"seconds": self.given.seconds, "rounds": self.given.rounds},
            "others": self.others,
            "left_out": self.cut,
            "points": self.points,
        }

    def _start(self, group: Plan, stack: contextlib.ExitStack) -> dict[tuple[str, str], Process]:
        servers: dict[tuple[str, str], Process] = {}
        failed: dict[tuple[str, str], str] = {}
        for key in group.servers():
            try:
                servers[key] = stack.enter_context(start(*_named(key, self.python)))
            except TROUBLE as trouble:
                failed[key] = str(trouble)
        for key, server in list(servers.items()):
            try:
                server.wait_until_ready("/async")
            except DidNotStart as trouble:
                del servers[key]
                failed[key] = str(trouble)
        for m in group.measurements:
            if (m.peer, m.case.app) in failed:
                self._failed(m, failed[m.peer, m.case.app])
        return servers

    def _answers(self, m: Measurement, servers: dict[tuple[str, str], Process]) -> bool:
        """Ask once, and return whether the answer is the right one: figures of wrong answers are worth nothing."""
        try:
            status, headers, body = m.case.asked.once(servers[m.peer, m.case.app].port)
            right = m.case.right(status, headers, body)
        except TROUBLE as trouble:
            status, headers, body, right = 0, {}, str(trouble).encode(), False
        if not right:
            self._failed(m, f"answered {status} with {body[:200]!r}, {dict(headers)}")
        return right

    def _load(self, m: Measurement, servers: dict[tuple[str, str], Process], seconds: int) -> measure.Run | None:
        server = servers[m.peer, m.case.app]
        try:
            return measure.measure(server, m.case.asked, connections=m.connections, seconds=seconds, lua=m.case.lua)
        except measure.LoadFailed as trouble:
            self._failed(m, str(trouble))
            return None

    def _failed(self, m: Measurement, reason: str) -> None:
        say(f"  {m.point:13} {m.peer:17} failed: {reason}")
        self._note(m, {"failed": reason})

    def _note(self, m: Measurement, figures: dict[str, Any]) -> None:
        self.points.setdefault(m.point, {})[m.peer] = figures


def _named(key: tuple[str, str], python: Python) -> tuple[str, Python, str]:
    peer, app = key
    return peer, python, app


def say(text: str) -> None:
    print(text, flush=True)


def processor() -> str:
    """Return the processor's name as the system tells it."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else "unknown"


def write(bench: Bench, label: str) -> Path:
    """Write JSON and Markdown, draw the pictures, and return the JSON file's path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{label}.json"
    results = bench.results()
    path.write_text(json.dumps(results, indent=1) + "\n")
    path.with_suffix(".md").write_text(report.markdown(results))
    say(f"\nbenchmarks/results/{path.name} and .md are written")
    if not bench.given.no_plots:
        try:
            plotter = bench.python.environment("plot")
            command = [plotter, str(Path(__file__).with_name("plot.py")), str(path)]
            subprocess.run(command + ([str(PICTURES)] if bench.given.docs else []), check=True, timeout=120)
        except (NotAvailable, subprocess.SubprocessError) as trouble:
            say(f"no pictures: {trouble}")
    for name, table in pages.tables(results).items():
        say(f"\n{name}\n\n{table}")
    if bench.given.docs:
        say(f"\nchanged: {', '.join(pages.fill(results)) or 'nothing'}")
    return path


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure TurboAPI beside other servers.", allow_abbrev=False)
    names = sorted({m.case.name for group in plan() for m in group.measurements} | set(SPECIAL))
    add = parser.add_argument
    add("--case", action="append", default=[], metavar="NAME", help=f"only this: {' '.join(names)}, or as async@64")
    add("--only", nargs="+", default=[], choices=list(PARTS), metavar="PART", help=f"only these: {', '.join(PARTS)}")
    add("--peer", action="append", default=[], choices=list(PEERS), help="only this server")
    add("--seconds", type=int, help="seconds of each load (default: 3; short: 2)")
    add("--rounds", type=int, default=3, help="rounds over the servers (default: 3)")
    add("--minutes", type=float, help="begin nothing after so long (default: 40; short: 15)")
    add("--short", action="store_true", help="only what the ratios need")
    add("--check", action="store_true", help="short, and fail when a ratio is missed")
    add("--python", default=sys.executable, help="a Python that TurboAPI is installed for (default: this one)")
    add(
        "--docs",
        action="store_true",
        help="the results become the latest, and go into the tables and pictures of docs/",
    )
    add("--no-plots", action="store_true", help="draw no pictures")
    given = parser.parse_args()
    if given.docs and (given.case or given.only or given.peer):
        parser.error("--docs is for a whole run: tables with half of their lines help nobody")
    given.short = given.short or given.check
    given.seconds = given.seconds or (2 if given.short else 3)
    given.minutes = given.minutes or (15 if given.short else 40)
    given.case += [case for part in given.only for case in PARTS[part]]
    unknown = {case.split("@")[0] for case in given.case} - set(names)
    if unknown:
        parser.error(f"there is no case {unknown.pop()!r}; there are {', '.join(names)}")
    return given


def special_cases(given: argparse.Namespace) -> list[str]:
    """Return the names of the measurements beside the plain loads that were asked for."""
    if given.peer:
        return []
    if given.case:
        return [name for name in SPECIAL if name in given.case]
    # No ratio speaks of the choice: it is for a page of the documentation.
    return [name for name in SPECIAL if given.docs or not (given.short and name == "choice")]


def fail(sentence: str) -> None:
    print(f"turboapi: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def label(bench: Bench) -> str:
    """Return the name of the results: a full run is the latest, anything else carries its time."""
    given, python = bench.given, bench.python
    if given.docs or not (given.short or given.case or given.peer or bench.cut):
        return "latest" if python.version[:2] == PINNED else f"latest-{python.short}"
    return f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{'short' if given.short else 'part'}-{python.short}"


def main() -> int:
    # A killed run must take its servers along: the with statements do that.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given = arguments()
    missing = measure.have_wrk()
    if missing:
        fail(missing)
    try:
        python = Python(given.python)
    except NotAvailable as trouble:
        fail(str(trouble))
    groups = plan(cases=given.case, peers=given.peer, only=check.needed() if given.short else None)
    # Before the clock runs.
    with contextlib.suppress(NotAvailable):  # told with the first case that needs it
        python.packages_for_apps()
    for peer in dict.fromkeys(m.peer for group in groups for m in group.measurements):
        with contextlib.suppress(NotAvailable):
            PEERS[peer].command(python, "fastapi", 0)
    busy = measure.busy()
    if busy > 0.1:
        say(f"Others use {busy:.0%} of the processors: the figures will be noisy, and the absolute ones wrong.")
    bench = Bench(given, python)
    try:
        for group in groups:
            if not bench.late(group.title):
                bench.take(group)
        for name in special_cases(given):
            if not bench.late(name):
                bench.special(name)
    except KeyboardInterrupt:
        bench.cut.append("the rest, since the run was interrupted")
        write(bench, label(bench))
        return 130
    write(bench, label(bench))
    if not given.check:
        return 0
    verdicts = check.judge(bench.points, given.case)
    missed = [verdict for verdict in verdicts if not verdict.holds]
    say("")
    for verdict in verdicts:
        say(f"{'ok    ' if verdict.holds else 'MISSED'} {verdict}")
    say(f"{len(verdicts) - len(missed)} of {len(verdicts)} ratios hold")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
