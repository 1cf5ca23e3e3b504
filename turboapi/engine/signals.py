"""SIGINT and SIGTERM while run() serves: the first stops gracefully, the second at once."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["Caught", "catch"]

# After the second signal the process has so long to unwind; then it is ended from a thread,
# because what holds it up may be a handler that blocks the loop.
_UNWIND = 3.0

_log = logging.getLogger("turboapi.error")


class Caught:
    """What has come in: the signal numbers, in order."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    @property
    def forced(self) -> bool:
        """Return whether a second signal came."""
        return len(self.numbers) > 1


@contextlib.contextmanager
def catch(stop: Callable[[], None], force: Callable[[], None]) -> Iterator[Caught]:
    """Call `stop` at the first signal and `force` at the second; restore the handlers that were there before.

    Both run inside Python's signal handler, on the main thread: they may only hand work to the loop. In another
    thread, where signals cannot be caught, nothing is installed.
    """
    caught = Caught()
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    done = threading.Event()

    def handle(number: int, _frame: FrameType | None) -> None:
        caught.numbers.append(number)
        if len(caught.numbers) == 1:
            stop()
            return
        # From here on a signal does what it does to any Python program.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        threading.Thread(target=_end_process, args=(done, number), name="turboapi-end", daemon=True).start()
        force()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        done.set()
        for number, handler in before.items():
            # None: it was not installed from Python, and Python cannot put it back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _end_process(done: threading.Event, number: int) -> None:
    if not done.wait(_UNWIND):
        _log.critical("The server does not unwind after a second signal; the process ends now.")
        logging.shutdown()
        os._exit(128 + number)
