"""Runs all tests: `make test`. Goes on after a failure, and ends with a table of what ran, for how long, and how.

Lint, the Go tests with the race detector, fuzzing, pytest on every supported
Python that is found, the tests of the plan compiler on other releases of
FastAPI, and the tests of the wheel. The environments are made as needed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from toolchain import ROOT, Missing, find_go

PYTHONS = ("3.13", "3.12", "3.11")
# What depends on the internals of FastAPI: run on each release asked for, beside the newest, which all tests use.
ON_EACH_FASTAPI = ("tests/plan", "tests/faces")
MAIN = ".venv"
# Seconds that one step may take. Far more than any needs: it ends a hang, whose place pytest has shown by then.
PATIENCE = 1200


@dataclass(slots=True)
class Suite:
    """What has run so far: name, seconds, whether it passed."""

    done: list[tuple[str, float, bool]] = field(default_factory=list)

    def step(self, name: str, *command: str, env: dict[str, str] | None = None) -> bool:
        """Run one command as a step of this name; its output goes where ours goes."""
        print(f"\n=== {name}", flush=True)
        began = time.monotonic()
        # A session of its own, so that whatever the step started can be ended with it.
        process = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True)
        try:
            passed = process.wait(PATIENCE) == 0
        except subprocess.TimeoutExpired:
            print(f"suite: {name} was ended after {PATIENCE} s", flush=True)
            passed = False
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.done.append((name, time.monotonic() - began, passed))
        return passed

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
    suite.step(name, str(ROOT / venv / "bin" / "python"), "-m", "pytest", "-q", *what)


def on_this_python(suite: Suite, selection: list[str]) -> None:
    """Run a selection of tests: folders of gosrc/ with Go, everything else with pytest."""
    go = [path for path in selection if path.startswith("gosrc")]
    python = [path for path in selection if not path.startswith("gosrc")]
    if go:
        go_tests(suite, *go)
    if python:
        pytest(suite, "pytest", MAIN, *python)


def on_each_python(suite: Suite, *, all_required: bool) -> None:
    """Run pytest on every supported Python that is found, the main one first."""
    found = pythons()
    main = "{}.{}".format(*sys.version_info[:2])
    for version in sorted(PYTHONS, key=lambda version: version != main):
        name = f"pytest on Python {version}"
        if version == main:
            pytest(suite, name, MAIN, "-m", "not wheel")
        elif version not in found:
            suite.skip(name, f"Python {version} is missing", allowed=not all_required)
        else:
            venv = f"{MAIN}-{version}"
            made = (found[version], "scripts/dev.py", "--venv", venv, "--extras", "build,test,frameworks")
            if suite.step(f"environment for Python {version}", *made):
                pytest(suite, name, venv, "-m", "not wheel")


def on_each_fastapi(suite: Suite, releases: list[str]) -> None:
    """Run what knows FastAPI's internals on other releases of it, on the main Python."""
    folders = [folder for folder in ON_EACH_FASTAPI if (ROOT / folder).is_dir()]
    for release in releases:
        venv = f"{MAIN}-fastapi-{release}"
        made = (sys.executable, "scripts/dev.py", "--venv", venv, "--extras", "build,test")
        if suite.step(f"environment for FastAPI {release}", *made, "--pin", f"fastapi=={release}"):
            pytest(suite, f"pytest on FastAPI {release}", venv, *folders)


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
    suite.step("lint", sys.executable, "scripts/lint.py")
    go_tests(suite, "gosrc")
    if given.fuzz:
        suite.step("fuzz", sys.executable, "scripts/fuzz.py", given.fuzz)
    on_each_python(suite, all_required=given.all_pythons)
    on_each_fastapi(suite, given.fastapi)
    if Path(ROOT, "tests", "wheel").is_dir():
        pytest(suite, "pytest of the wheel", MAIN, "-m", "wheel", "tests/wheel")
    return suite.close()


if __name__ == "__main__":
    raise SystemExit(main())
