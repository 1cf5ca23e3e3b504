"""Which server a test client's requests go to: the one of its `with`, else one that starts with the first request.

Clients made without `with` are often globals of test modules, hundreds of them: only the few used last keep a
thread. Starting again takes milliseconds.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

from .running import Running

__all__ = ["Servers"]

# Servers without `with` that may wait for a next request.
_MOST_WAITING = 8

_lock = threading.Lock()
# Who has one of those, the one used last at the end. Weak: a client that is gone ends its own.
_waiting: list[weakref.ref[Servers]] = []


class Servers:
    """The servers of one test client. `start` makes one: with a state where the lifespan is to run, without for none.

    Any thread may use it; `ask_end` may be called by the garbage collector, so it takes no lock.
    """

    def __init__(self, start: Callable[[dict[str, Any] | None], Running]) -> None:
        self._start = start
        self._entered: Running | None = None
        self._loose: Running | None = None
        # Requests that the loose one serves.
        self._users = 0
        self._starting = threading.Lock()

    def enter(self, state: dict[str, Any]) -> Running:
        """Start the server of a `with`, its lifespan first. Raises what the application's start-up raises."""
        self.leave_loose()
        self._entered = self._start(state)
        return self._entered

    def leave(self) -> None:
        """End the server of the `with`. Raises what the application's shutdown raises."""
        running, self._entered = self._entered, None
        if running is not None:
            running.close()

    def leave_loose(self) -> None:
        """End the other one, if there is one, and wait."""
        with self._starting:
            running, self._loose = self._loose, None
        if running is not None:
            running.close()

    def acquire(self) -> Running:
        """Return the server for a request; release() when it is over."""
        if self._entered is not None:
            return self._entered
        with self._starting:
            if self._loose is None or not self._loose.alive:
                self._loose, self._users = self._start(None), 0
            self._users += 1
            loose = self._loose
        _use(self)
        return loose

    def release(self, running: Running) -> None:
        """A request is over."""
        with self._starting:
            if running is self._loose:
                self._users -= 1

    def lose(self, running: Running) -> None:
        """A handler raised an exit: the server ends, and what comes next has another one."""
        with self._starting:
            if running is self._loose:
                self._loose = None

    def rest(self) -> None:
        """End the loose one unless it serves. It starts again with the next request."""
        with self._starting:
            if self._users > 0:
                return
            running, self._loose = self._loose, None
        if running is not None:
            running.ask()

    def ask_end(self) -> None:
        """Ask both to end, and wait for nothing."""
        for running in (self._entered, self._loose):
            if running is not None:
                running.ask()


def _use(servers: Servers) -> None:
    """Note who is used, and let the one rest that has not been for longest, where there are too many."""
    oldest = None
    with _lock:
        if _waiting and _waiting[-1]() is servers:
            return
        alive = [each for each in _waiting if each() is not None and each() is not servers]
        if len(alive) >= _MOST_WAITING:
            oldest = alive.pop(0)()
        _waiting[:] = [*alive, weakref.ref(servers)]
    if oldest is not None:
        oldest.rest()
