"""Checks the form of everything: `make lint`. Prints what each check found, and at the end which of them failed.

.venv/bin/python scripts/lint.py          check
.venv/bin/python scripts/lint.py --fix    bring into form what a tool can (make fmt)
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import engine_build
from toolchain import ROOT, Missing, find_go, python_include

BIN = Path(sysconfig.get_path("scripts"))


def own(*patterns: str) -> list[str]:
    """Return the files under gosrc that match."""
    found = (path for pattern in patterns for path in (ROOT / "gosrc").rglob(pattern))
    return sorted(os.path.relpath(path, ROOT) for path in found)


def run(*command: str, env: dict[str, str] | None = None) -> str | None:
    """Run a command; return what it printed if it failed."""
    done = subprocess.run(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout or f"exit code {done.returncode}\n" if done.returncode else None


def go_environment() -> dict[str, str]:
    """Return the environment of the engine's build, so that the C in gosrc/hot finds Python's headers."""
    return engine_build.environment(find_go(), python_include(), "")


def gofmt() -> str | None:
    """Return the Go files that are not as gofmt writes them, or what it could not read."""
    program = str(Path(find_go()).with_name("gofmt"))
    done = subprocess.run([program, "-l", *own("*.go")], cwd=ROOT, capture_output=True, text=True)
    return (done.stdout + done.stderr) or None


def changelog() -> str | None:
    """Return what is wrong if the newest version in CHANGELOG.md is not the package's."""
    version = re.search(r'__version__ = "(.+)"', (ROOT / "turboapi" / "_version.py").read_text())
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    if version is None or newest is None or version[1] != newest[1]:
        return (
            f"CHANGELOG.md begins with {newest and newest[1]}, turboapi/_version.py says {version and version[1]}: "
            "give the change its sentence under the version it will appear in.\n"
        )
    return None


def vet(*command: str) -> str | None:
    return run(find_go(), *command, "./gosrc/...", env=go_environment())


CHECKS: dict[str, Callable[[], str | None]] = {
    "ruff check": lambda: run(str(BIN / "ruff"), "check", "."),
    "ruff format": lambda: run(str(BIN / "ruff"), "format", "--check", "."),
    "mypy --strict": lambda: run(str(BIN / "mypy")),
    "gofmt": gofmt,
    "go vet": lambda: vet("vet"),
    "staticcheck": lambda: vet("tool", "staticcheck"),
    "clang-format": lambda: run(str(BIN / "clang-format"), "--dry-run", "-Werror", *own("*.c", "*.h")),
    "CHANGELOG": changelog,
}

FIXES: dict[str, Callable[[], str | None]] = {
    "ruff check --fix": lambda: run(str(BIN / "ruff"), "check", "--fix", "-q", "."),
    "ruff format": lambda: run(str(BIN / "ruff"), "format", "-q", "."),
    "gofmt -w": lambda: run(str(Path(find_go()).with_name("gofmt")), "-w", *own("*.go")),
    "clang-format -i": lambda: run(str(BIN / "clang-format"), "-i", *own("*.c", "*.h")),
}


def main() -> int:
    """Run every check; return 1 if any found something."""
    failed = []
    for name, check in (FIXES if "--fix" in sys.argv[1:] else CHECKS).items():
        try:
            found = check()
        except Missing as missing:
            found = f"{missing}\n"
        print(f"lint: {name}: {'ok' if found is None else 'FAILED'}", flush=True)
        if found is not None:
            failed.append(name)
            sys.stdout.write(found)
    if failed:
        print(f"lint: failed: {', '.join(failed)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
