"""One load of one server: runs wrk, and counts what the server used meanwhile."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from processes import Asked, Process, children_die_with_us

__all__ = ["Load", "LoadFailed", "Run", "busy", "have_wrk", "in_turn", "measure", "summary", "taken", "wrk"]

_SEND = str(Path(__file__).parent / "load" / "send.lua")
# Longer than any answer takes: a slow server is slow, it does not fail.
_ANSWER_SECONDS = 20
_CPUS = os.cpu_count() or 1
_TICK = os.sysconf("SC_CLK_TCK")
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


class LoadFailed(Exception):
    """A load whose figures mean nothing: errors, other answers than asked for, none at all."""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw. Its percentiles are corrected for coordinated omission: a stall counts for each request that
    it kept from being sent."""

    requests: int
    rps: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Run:
    """One load together with what it cost the server.

    cpu_us: processor time of the whole process tree per answered request.
    others: share of all processors that neither server nor wrk used, but somebody else.
    """

    requests: int
    rps: float
    cpu_us: float
    p50_ms: float
    p99_ms: float
    rss_mb: float
    others: float


def have_wrk() -> str | None:
    """Return what to do when wrk is not there, None when it is."""
    if shutil.which("wrk") is None:
        return "wrk is missing (on Debian: apt-get install wrk)."
    return None


def wrk(port: int, asked: Asked | str, *, connections: int, seconds: int, lua: str | None = None) -> Load:
    """Run wrk with one thread and return what it saw; a plain path is a GET. Raises LoadFailed.

    lua: a script of wrk's that makes the requests, of which there is more than one.
    """
    asked = Asked(asked) if isinstance(asked, str) else asked
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={_ANSWER_SECONDS}s", "--latency"]
    for name, value in asked.headers.items():
        command += ["-H", f"{name}: {value}"]
    url = f"http://127.0.0.1:{port}{asked.path}"
    if asked.body is None:
        return _wrk([*command, *([] if lua is None else ["-s", lua]), url], seconds)
    with tempfile.NamedTemporaryFile() as body:
        body.write(asked.body)
        body.flush()
        return _wrk([*command, "-s", _SEND, url, "--", body.name], seconds)


def _wrk(command: list[str], seconds: int) -> Load:
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=children_die_with_us(signal.SIGKILL),
    )
    try:
        text, _ = process.communicate(timeout=seconds + _ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"wrk did not end within {seconds + _ANSWER_SECONDS} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return parse(text)


def parse(text: str) -> Load:
    """Read wrk's report. Raises LoadFailed for anything but clean answers."""
    for trouble in re.findall(r"(?:Socket errors|Non-2xx or 3xx responses):.*", text):
        raise LoadFailed(trouble)
    requests = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if requests is None or rate is None:
        raise LoadFailed("wrk reported no requests:\n" + text.strip())
    if int(requests[1]) == 0:
        raise LoadFailed("no request was answered")
    return Load(int(requests[1]), float(rate[1]), _percentile(text, 50), _percentile(text, 99))


def _percentile(text: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    if found is None:
        raise LoadFailed(f"wrk reported no {percent}th percentile:\n" + text.strip())
    return round(float(found[1]) * _UNITS_MS[found[2]], 4)


def measure(server: Process, asked: Asked | str, *, connections: int, seconds: int, lua: str | None = None) -> Run:
    """Load a server by wrk and return the figures. Raises LoadFailed."""
    return taken(server, lambda: wrk(server.port, asked, connections=connections, seconds=seconds, lua=lua))


def in_turn(takers: Mapping[str, Callable[[int], Run]], seconds: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Let each run for so many seconds, after one to warm up, forwards and backwards in turn; return summaries."""
    for take in takers.values():
        take(1)
    runs: dict[str, list[Run]] = {name: [] for name in takers}
    for number in range(rounds):
        for name in list(takers) if number % 2 == 0 else list(reversed(takers)):
            runs[name].append(takers[name](seconds))
    return {name: summary(of) for name, of in runs.items()}


def taken(server: Process, load_it: Callable[[], Load]) -> Run:
    """Return the figures of a load of a server, which a child process of ours makes. Raises LoadFailed."""
    machine, ours, server_cpu, began = _machine_cpu(), _children_cpu(), server.cpu(), time.monotonic()
    load = load_it()
    used = server.cpu() - server_cpu
    wrk_used = _children_cpu() - ours
    all_used = _machine_cpu() - machine
    span = (time.monotonic() - began) * _CPUS
    if server.popen.poll() is not None:
        raise LoadFailed(f"{server.name} ended under load:\n{server.tail()}")
    return Run(
        requests=load.requests,
        rps=load.rps,
        cpu_us=round(1e6 * used / load.requests, 3),
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        rss_mb=round(server.rss() / 1e6, 1),
        others=round(max(0.0, all_used - used - wrk_used) / span, 3),
    )


def summary(runs: list[Run]) -> dict[str, Any]:
    """Return the medians of runs, the spreads ((max - min) / median), how far resident memory grew, and the runs."""
    figures: dict[str, Any] = {
        name: round(median(getattr(run, name) for run in runs), 4)
        for name in ("rps", "cpu_us", "p50_ms", "p99_ms", "rss_mb")
    }
    for name in ("rps", "cpu_us"):
        values = [getattr(run, name) for run in runs]
        figures[f"{name}_spread"] = round((max(values) - min(values)) / (figures[name] or 1), 3)
    figures["rss_grown_mb"] = round(runs[-1].rss_mb - runs[0].rss_mb, 1)
    return figures | {"others": max(run.others for run in runs), "runs": [asdict(run) for run in runs]}


def busy(seconds: float = 1.0) -> float:
    """Return the share of all processors that is in use while we do nothing."""
    before = _machine_cpu()
    time.sleep(seconds)
    return (_machine_cpu() - before) / (seconds * _CPUS)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _machine_cpu() -> float:
    """Return the seconds that all processors have worked, or were taken away by the host."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICK
