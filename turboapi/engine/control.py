"""The engine's control plane with types: one function per function of gosrc/engine.

Each call is short. A handle names one server's core; 0, where it is accepted, means the process.
"""

from __future__ import annotations

import json
from typing import Any, cast

from . import _load
from .failures import EngineError

__all__ = ["active", "close", "drain", "fd", "logs", "open_core", "set_table", "stats", "version"]


def _call(name: str, *args: Any) -> Any:
    function = getattr(_load.engine(), f"engine_{name}")
    try:
        return function(*args)
    except RuntimeError as error:
        raise EngineError(f"engine: {name}: {error}") from None


def open_core(settings: str) -> int:
    """Create a server's core from `Settings.for_engine` JSON and return its handle. It accepts from now on."""
    return cast(int, _call("Open", settings))


def fd(handle: int) -> int:
    """Return the core's descriptor, which is readable when a turn has work. It stays the core's."""
    return cast(int, _call("FD", handle))


def set_table(handle: int, table: bytes) -> None:
    """Give the core its routes (JSON). Loop's thread, between turns."""
    _call("SetTable", handle, table.decode())


def drain(handle: int) -> None:
    """Accept nothing more, close idle connections, and the others after their answer."""
    _call("Drain", handle)


def active(handle: int) -> int:
    """Return how many connections and exchanges are still open."""
    return cast(int, _call("Active", handle))


def logs(handle: int) -> dict[str, Any]:
    """Take the lines that the engine has logged: {"dropped": int, "lines": [...]}."""
    return cast("dict[str, Any]", json.loads(_call("Logs", handle)))


def stats(handle: int) -> dict[str, Any]:
    """Return the counters of one server, or with 0 those of the process.

    These are live (exchanges), held (bytes of requests and answers), servers, goroutines, heap_bytes.
    """
    return cast("dict[str, Any]", json.loads(_call("Stats", handle)))


def close(handle: int) -> None:
    """Close everything that the core holds. The handle is dead afterwards."""
    _call("Close", handle)


def version() -> str:
    """Return the Go release that built the engine."""
    return cast(str, _call("Version"))
