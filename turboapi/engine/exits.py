"""At the end of the interpreter: stops what is still serving, so that no server keeps a process alive."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable

__all__ = ["add", "remove"]

_lock = threading.Lock()
_enders: dict[int, tuple[int, Callable[[], None]]] = {}
_registered = False


def add(key: int, end: Callable[[], None]) -> None:
    """Call `end` when the interpreter exits in this process, unless remove(key) comes first. A fork's exit does not."""
    global _registered
    with _lock:
        _enders[key] = (os.getpid(), end)
        if not _registered:
            atexit.register(_end_all)
            _registered = True


def remove(key: int) -> None:
    """Forget an add(); unknown keys are fine."""
    with _lock:
        _enders.pop(key, None)


def _end_all() -> None:
    with _lock:
        enders = list(_enders.values())
        _enders.clear()
    for process, end in enders:
        if process == os.getpid():
            end()
