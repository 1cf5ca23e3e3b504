"""The servers: how each is started, with one worker, no access log, and uvloop where it runs on asyncio."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from install import BUILD, Python, fasthttpd
from processes import Process, free_port

__all__ = ["PEERS", "Peer", "start", "start_counted"]

APPS = Path(__file__).parent / "apps"
HERE = "127.0.0.1"
LOGS = BUILD / "logs"
# The applications that need nothing but FastAPI.
BARE = ("fastapi", "asgi")


@dataclass(frozen=True, slots=True)
class Peer:
    """A server. `command` makes its command line from the Python that runs TurboAPI, an app's name and a port."""

    name: str
    title: str
    command: Callable[[Python, str, int], list[str]]


def _turboapi(transport: str, python: Python, app: str, port: int) -> list[str]:
    options = ["--host", HERE, "--port", str(port), "--transport", transport, "--loop", "uvloop"]
    quiet = ["--no-access-log", "--log-level", "warning"]
    run = [python.executable, "-m", "turboapi", "run", f"{app}_app:app", "--app-dir", str(APPS)]
    return [*run, *options, *quiet]


def _uvicorn(python: Python, app: str, port: int) -> list[str]:
    options = ["--host", HERE, "--port", str(port), "--loop", "uvloop", "--http", "httptools", "--workers", "1"]
    quiet = ["--no-access-log", "--log-level", "warning"]
    return [python.environment("asgi"), "-m", "uvicorn", f"{app}_app:app", *options, *quiet]


def _granian(websocket: str, python: Python, app: str, port: int) -> list[str]:
    options = ["--host", HERE, "--port", str(port), "--interface", "asgi", "--loop", "uvloop", "--workers", "1"]
    quiet = ["--http", "1", websocket, "--no-access-log", "--log-level", "warning"]
    return [python.environment("asgi"), "-m", "granian", *options, *quiet, f"{app}_app:app"]


def _bolt(python: Python, _app: str, port: int) -> list[str]:
    options = ["--host", HERE, "--port", str(port), "--processes", "1", "--workers", "1", "--no-admin"]
    return [python.environment("bolt"), "-m", "django", "runbolt", "--settings", "bolt_settings", *options]


def _robyn(python: Python, _app: str, port: int) -> list[str]:
    options = ["--processes", "1", "--workers", "1", "--log-level", "WARN", "--disable-openapi"]
    return [python.environment("robyn"), "robyn_app.py", str(port), *options]


def _fasthttp(_python: Python, _app: str, port: int) -> list[str]:
    return [_built(), f"{HERE}:{port}"]


@functools.cache
def _built() -> str:
    return fasthttpd()


PEERS = {
    peer.name: peer
    for peer in (
        Peer("turboapi", "TurboAPI", functools.partial(_turboapi, "auto")),
        Peer("turboapi-fasthttp", "TurboAPI on the fasthttp transport", functools.partial(_turboapi, "fasthttp")),
        Peer("django-bolt", "django-bolt", _bolt),
        Peer("granian", "FastAPI on granian", functools.partial(_granian, "--no-ws")),
        Peer("granian-ws", "FastAPI on granian", functools.partial(_granian, "--ws")),
        Peer("robyn", "robyn", _robyn),
        Peer("uvicorn", "FastAPI on uvicorn", _uvicorn),
        Peer("fasthttp", "bare fasthttp", _fasthttp),
    )
}


def start(name: str, python: Python, app: str = "fastapi", environment: Mapping[str, str] | None = None) -> Process:
    """Start a server with apps/{app}_app.py. Raises NotAvailable; the caller waits until it is ready.

    environment: variables beside ours.
    """
    port = free_port()
    command = PEERS[name].command(python, app, port)
    variables = {**os.environ, **(environment or {})}
    if app not in BARE:
        variables["PYTHONPATH"] = python.packages_for_apps()
    return Process(name, command, port=port, cwd=APPS, log=LOGS / f"{name}-{app}.log", env=variables)


def start_counted(python: Python, transport: str = "auto", **popen: Any) -> Process:
    """Start TurboAPI by a program of ours that tells the server's counters, see counted.py."""
    port = free_port()
    command = [python.executable, str(Path(__file__).parent / "counted.py"), str(port), transport]
    return Process("turboapi", command, port=port, cwd=APPS, log=LOGS / "turboapi-counted.log", **popen)
