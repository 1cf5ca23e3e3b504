"""Puts what is measured beside us into folders of its own, below build/bench; nothing of it touches .venv."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["BUILD", "ROOT", "NotAvailable", "Python", "echoload", "fasthttpd", "versions"]

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"

# Releases of the peers. What they share with us (FastAPI, pydantic, uvloop) is pinned to what runs TurboAPI.
PINNED = {
    "asgi": ("uvicorn==0.54.0", "httptools==0.9.0", "websockets==17.4", "granian==2.8.7"),
    "bolt": ("django-bolt==0.13.0", "Django==6.1.3", "msgspec==0.22.0"),
    "robyn": ("robyn==0.88.0", "orjson==3.13.0"),
    "plot": ("matplotlib==3.11.2",),
}
# What the applications need beside FastAPI: the same files for every server, by PYTHONPATH.
APPS = ("asyncpg==0.32.0", "itsdangerous==2.2.0", "python-multipart==0.0.34")
SHARED = {
    "asgi": ("fastapi", "starlette", "pydantic", "pydantic-core", "uvloop"),
    "bolt": ("uvloop",),
    "robyn": ("pydantic", "pydantic-core"),  # robyn asks for one release of uvloop, which may be another
    "plot": (),
}
# django-bolt is for newer Pythons only.
OLDEST = {"bolt": (3, 12)}

_ASK = """
import importlib.metadata as m, json, sys
names = ("fastapi", "starlette", "pydantic", "pydantic-core", "uvloop", "turboapi")
found = {}
for name in names:
    try:
        found[name] = m.version(name)
    except m.PackageNotFoundError:
        pass
print(json.dumps({"version": list(sys.version_info[:3]), "packages": found}))
"""


class NotAvailable(Exception):
    """A peer that cannot be measured here; the text says why."""


class Python:
    """The Python that runs TurboAPI; the peers get virtual environments of the same version."""

    def __init__(self, executable: str = sys.executable) -> None:
        self.executable = executable
        try:
            asked = subprocess.run([executable, "-c", _ASK], capture_output=True, text=True, check=True, cwd="/")
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotAvailable(f"{executable} does not run: {error}") from error
        answer = json.loads(asked.stdout)
        self.version: tuple[int, int, int] = tuple(answer["version"])
        self.packages: dict[str, str] = answer["packages"]
        if "fastapi" not in self.packages:
            raise NotAvailable(f"{executable} has no FastAPI: give a Python that the package is installed for.")

    @property
    def short(self) -> str:
        """Return the version as in 3.13."""
        return f"{self.version[0]}.{self.version[1]}"

    @functools.cache  # noqa: B019  one object lives as long as the run
    def environment(self, name: str) -> str:
        """Return the Python of a virtual environment, made and filled on first use. Raises NotAvailable."""
        oldest = OLDEST.get(name, (3, 11))
        if self.version[:2] < oldest:
            raise NotAvailable(f"needs Python {oldest[0]}.{oldest[1]}")
        folder = BUILD / f"python{self.short}" / name
        python = folder / "bin" / "python"
        wanted = [*PINNED[name], *(f"{p}=={self.packages[p]}" for p in SHARED[name] if p in self.packages)]
        with self._filling(folder, wanted) as missing:
            if missing:
                _run([self.executable, "-m", "venv", "--clear", str(folder)], f"making {folder.relative_to(ROOT)}")
                _pip(str(python), *wanted)
        return str(python)

    @functools.cache  # noqa: B019
    def packages_for_apps(self) -> str:
        """Return the folder with what the applications import, filled on first use. Raises NotAvailable."""
        folder = BUILD / f"python{self.short}" / "apps"
        with self._filling(folder, [*APPS]) as missing:
            if missing:
                shutil.rmtree(folder, ignore_errors=True)
                _pip(self.executable, "--no-deps", "--target", str(folder), *APPS)
        return str(folder)

    @contextlib.contextmanager
    def _filling(self, folder: Path, wanted: list[str]) -> Iterator[bool]:
        """Give whether the folder lacks what is wanted; it is marked as filled afterwards."""
        mark = folder / "installed"
        content = hashlib.sha256(repr((self.version, wanted)).encode()).hexdigest()
        missing = not mark.exists() or mark.read_text() != content
        if missing:
            print(f"installing {', '.join(wanted)} into {folder.relative_to(ROOT)}", flush=True)
        yield missing
        mark.write_text(content)


def fasthttpd() -> str:
    """Build the bare fasthttp server and return its path. Raises NotAvailable."""
    return _program("fasthttpd")


def echoload() -> str:
    """Build the WebSocket load generator and return its path. Raises NotAvailable."""
    return _program("echoload")


def _program(name: str) -> str:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from toolchain import Missing, find_go
    finally:
        sys.path.pop(0)
    program = BUILD / name
    try:
        go = find_go()
    except Missing as missing:
        raise NotAvailable(str(missing)) from missing
    BUILD.mkdir(parents=True, exist_ok=True)
    command = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(program), f"./benchmarks/{name}"]
    _run(command, f"building benchmarks/{name}")
    return str(program)


def versions() -> dict[str, str]:
    """Return the pinned release of each peer, and of fasthttp as go.mod has it."""
    pins = dict(pin.split("==") for group in (PINNED["asgi"], PINNED["bolt"], PINNED["robyn"], APPS) for pin in group)
    for line in (ROOT / "go.mod").read_text().splitlines():
        words = line.split()
        if words and words[0] == "github.com/valyala/fasthttp":
            pins["fasthttp"] = words[1].lstrip("v")
    return pins


def _pip(python: str, *wanted: str) -> None:
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--only-binary=:all:"]
    _run([*pip, *wanted], f"installing {' '.join(wanted)}")


def _run(command: list[str], what: str) -> None:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise NotAvailable(f"{what} failed:\n{done.stdout.strip()}")
