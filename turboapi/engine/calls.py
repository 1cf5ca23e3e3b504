"""The threads of the call lane: started when the hot path asks, named, and waited for at the end."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from typing import TYPE_CHECKING

from .anyio_worker import Workers

if TYPE_CHECKING:
    from . import _hot

__all__ = ["CallThreads"]

_log = logging.getLogger("turboapi.error")


class CallThreads:
    """The call threads of one server. They are daemons: a handler that hangs does not keep the process alive."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self._hot: _hot.Server | None = None
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()

    def attach(self, hot: _hot.Server) -> None:
        """Say whose lane the threads serve. Before the first spawn()."""
        self._hot = hot

    def detach(self) -> None:
        """Forget the lane. Threads that hang in a handler keep it until they end."""
        self._hot = None

    def spawn(self) -> None:
        """Start one more thread. Any thread. Raises RuntimeError where none can be started; the hot path logs it."""
        self.workers.prepare()
        thread = threading.Thread(target=self._main, name=f"turboapi-call-{next(self._numbers)}", daemon=True)
        with self._lock:
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # no memory for a stack, a limit on threads, the interpreter is ending
            with self._lock:
                self._threads.discard(thread)
            raise

    def alive(self) -> int:
        """Return how many threads run."""
        with self._lock:
            return len(self._threads)

    def join(self, timeout: float) -> int:
        """Wait for the threads to end, `timeout` seconds in all; return how many still run, hung in a handler."""
        deadline = time.monotonic() + timeout
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            if thread.ident is not None and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        return self.alive()

    def _main(self) -> None:
        hot = self._hot
        try:
            if hot is not None:
                self.workers.run(hot.lane_main)
        except BaseException:
            _log.critical("A thread for `def` handlers has ended unexpectedly.", exc_info=True)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())
