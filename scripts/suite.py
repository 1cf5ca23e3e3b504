"""Runs all tests: `make test`. Goes on after a failure, and ends with a table of what ran, for how long, and how.

Lint, the Go tests with the race detector, fuzzing, pytest on every supported
Python that is found, the tests of the plan compiler on other releases of
FastAPI, and the tests of the wheel. The environments are made as needed.

Where there are two processors, two of these run at a time: each spends much of
its time waiting. What a step prints is then shown when it ends.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from toolchain import ROOT, Missing, find_go

PYTHONS = ("3.13", "3.12", "3.11")
# What depends on the internals of FastAPI: run on each release asked for, beside the newest, which all tests use.
ON_EACH_FASTAPI = ("tests/plan", "tests/faces")
MAIN = ".venv"
# Packages that others write, used on the engine: in an environment of their own, since they pin what they need.
THIRD_PARTY = "tests/thirdparty"
# Seconds that one step may take. Far more than any needs: it ends a hang, whose place pytest has shown by then.
PATIENCE = 1800
# Steps at a time. More would not be faster: together they are to be a busy machine, not one that crawls.
LANES = min(2, os.cpu_count() or 1)
# How pytest is called in each environment. Two that run at once would write one cache.
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")


@dataclass(slots=True)
class Suite:
    """What has run so far: name, seconds, whether it passed. `together`: steps run at a time."""

    together: int = 1
    done: list[tuple[str, float, bool]] = field(default_factory=list)
    # Held by a step that writes the package's metadata beside its sources.
    tree: threading.Lock = field(default_factory=threading.Lock)
    _running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _shown: threading.Lock = field(default_factory=threading.Lock)

    def step(self, name: str, *command: str, env: dict[str, str] | None = None) -> bool:
        """Run one command as a step of this name; its output goes where ours goes."""
        began = time.monotonic()
        if self.together == 1:
            print(f"\n=== {name}", flush=True)
            passed = self._run(name, command, env, None)
        else:
            print(f"suite: {name} begins", flush=True)
            with tempfile.TemporaryFile() as out:
                passed = self._run(name, command, env, out.fileno())
                out.seek(0)
                with self._shown:
                    print(f"\n=== {name}", flush=True)
                    shutil.copyfileobj(out, sys.stdout.buffer)
                    sys.stdout.flush()
        self.done.append((name, time.monotonic() - began, passed))
        return passed

    def _run(self, name: str, command: tuple[str, ...], env: dict[str, str] | None, out: int | None) -> bool:
        # A session of its own, so that whatever the step started can be ended with it.
        errors = None if out is None else subprocess.STDOUT
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=errors, start_new_session=True)
        self._running.add(process)
        try:
            for minutes in range(PATIENCE // 60):
                if minutes and out is not None:
                    print(f"suite: {name} goes on, for {minutes} min now", flush=True)
                try:
                    return process.wait(60) == 0
                except subprocess.TimeoutExpired:
                    pass
            print(f"suite: {name} was ended after {PATIENCE} s", flush=True)
            return False
        finally:
            self._end(process)
            self._running.discard(process)

    def run(self, chains: list[Callable[[Suite], object]]) -> None:
        """Run all chains of steps, as many at a time as there are lanes."""
        try:
            with ThreadPoolExecutor(self.together) as lanes:
                try:
                    for running in [lanes.submit(chain, self) for chain in chains]:
                        running.result()
                except BaseException:
                    lanes.shutdown(wait=False, cancel_futures=True)
                    raise
                finally:
                    # Only an interrupt finds any here.
                    for process in list(self._running):
                        self._end(process)
        finally:
            sys.stdout.flush()

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def skip(self, name: str, reason: str, *, allowed: bool) -> None:
        """Note a step that cannot run."""
        print(f"\n=== {name}: {reason}", flush=True)
        if not allowed:
            self.done.append((f"{name}: {reason}", 0.0, False))

    def close(self) -> int:
        """Print the table; return the exit code."""
        print("\n=== summary")
        for name, seconds, passed in self.done:
            print(f"{'ok    ' if passed else 'FAILED'} {seconds:7.1f} s  {name}")
        return 0 if all(passed for *_, passed in self.done) else 1


def pythons() -> dict[str, str]:
    """Return the interpreters found, by version."""
    found = subprocess.run([ROOT / "scripts" / "find_python.sh", *PYTHONS], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in found.stdout.splitlines())


def go_packages(go: str, folders: list[str]) -> list[str]:
    """Return the Go packages in the folders that `go test` can test: those without Python.h."""
    env = os.environ | {"GOTOOLCHAIN": "local"}
    listed = subprocess.run(
        [go, "list", *folders], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    ).stdout.split()
    return [package for package in listed if not package.endswith("/gosrc/hot")]


def go_tests(suite: Suite, *folders: str) -> None:
    """Run the Go tests with the race detector."""
    try:
        go = find_go()
        chosen = go_packages(go, [f"./{folder.strip('/')}/..." for folder in folders])
    except Missing as missing:
        suite.skip("go test -race", str(missing), allowed=False)
        return
    except subprocess.CalledProcessError as error:
        suite.skip("go test -race", error.stderr.strip(), allowed=False)
        return
    env = os.environ | {"GOTOOLCHAIN": "local", "CGO_ENABLED": "1"}
    suite.step("go test -race", go, "test", "-race", "-timeout=600s", *chosen, env=env)


def pytest(suite: Suite, name: str, venv: str, *what: str) -> None:
    """Run pytest of one environment."""
    suite.step(name, str(ROOT / venv / "bin" / "python"), *PYTEST, *what)


def on_this_python(suite: Suite, selection: list[str]) -> None:
    """Run a selection of tests: folders of gosrc/ with Go, everything else with pytest."""
    go = [path for path in selection if path.startswith("gosrc")]
    python = [path for path in selection if not path.startswith("gosrc")]
    if go:
        go_tests(suite, *go)
    others = [path for path in python if path.startswith(THIRD_PARTY)]
    if others:
        on_third_party(suite, *others)
    if python != others:
        pytest(suite, "pytest", MAIN, *(path for path in python if path not in others))


def on_python(suite: Suite, version: str, *, all_required: bool) -> None:
    """Run pytest on one of the supported Pythons, if it is found."""
    name = f"pytest on Python {version}"
    if version == "{}.{}".format(*sys.version_info[:2]):
        pytest(suite, name, MAIN, "-m", "not wheel")
        return
    found = pythons()
    if version not in found:
        suite.skip(name, f"Python {version} is missing", allowed=not all_required)
        return
    venv = f"{MAIN}-{version}"
    made = (found[version], "scripts/dev.py", "--venv", venv, "--extras", "build,test,frameworks")
    with suite.tree:
        ready = suite.step(f"environment for Python {version}", *made)
    if ready:
        pytest(suite, name, venv, "-m", "not wheel")


def on_fastapi(suite: Suite, release: str) -> None:
    """Run what knows FastAPI's internals on another release of it, on the main Python."""
    folders = [folder for folder in ON_EACH_FASTAPI if (ROOT / folder).is_dir()]
    venv = f"{MAIN}-fastapi-{release}"
    made = (sys.executable, "scripts/dev.py", "--venv", venv, "--extras", "build,test")
    with suite.tree:
        ready = suite.step(f"environment for FastAPI {release}", *made, "--pin", f"fastapi=={release}")
    if ready:
        pytest(suite, f"pytest on FastAPI {release}", venv, *folders)


def on_third_party(suite: Suite, *what: str) -> None:
    """Run the tests of packages that others write, on the main Python."""
    venv = f"{MAIN}-thirdparty"
    made = (sys.executable, "scripts/dev.py", "--venv", venv, "--extras", "build,thirdparty")
    with suite.tree:
        ready = suite.step("environment for third-party packages", *made)
    if ready:
        pytest(suite, "pytest of third-party packages", venv, *(what or (THIRD_PARTY,)))


def on_wheel(suite: Suite) -> None:
    """Build the wheel and test it."""
    with suite.tree:
        pytest(suite, "pytest of the wheel", MAIN, "-m", "wheel", "tests/wheel")


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Run all tests, or a selection of them on this Python.")
    parser.add_argument("tests", nargs="*", help="run only these, on this Python: tests/plan, gosrc/wire, ...")
    parser.add_argument("--fuzz", default="", help="how long to fuzz, as 60s; not at all by default")
    parser.add_argument("--fastapi", nargs="*", default=[], help="FastAPI releases to test beside the newest")
    parser.add_argument("--all-pythons", action="store_true", help="fail where a supported Python is missing")
    given = parser.parse_args()
    suite = Suite()
    if given.tests:
        on_this_python(suite, given.tests)
        return suite.close()
    suite.together = LANES
    main_first = sorted(PYTHONS, key=lambda version: version != "{}.{}".format(*sys.version_info[:2]))
    # The long ones first, so that the lanes end at about the same time.
    chains: list[Callable[[Suite], object]] = [
        lambda suite: suite.step("lint", sys.executable, "scripts/lint.py"),
        lambda suite: go_tests(suite, "gosrc"),
        *[partial(on_python, version=version, all_required=given.all_pythons) for version in main_first],
        *[partial(on_fastapi, release=release) for release in given.fastapi],
        on_third_party,
    ]
    if given.fuzz:
        chains.append(lambda suite: suite.step("fuzz", sys.executable, "scripts/fuzz.py", given.fuzz))
    if Path(ROOT, "tests", "wheel").is_dir():
        chains.append(on_wheel)
    suite.run(chains)
    return suite.close()


if __name__ == "__main__":
    raise SystemExit(main())
