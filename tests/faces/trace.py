"""What an application did, in order."""

import asyncio
import threading


class Trace:
    """A list of notes that handlers write, from any thread, and that a test can wait for."""

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._grown = threading.Condition()

    def __call__(self, *parts: object) -> None:
        """Write one note."""
        with self._grown:
            self._notes.append(" ".join(str(part) for part in parts))
            self._grown.notify_all()

    def wait(self, count: int, timeout: float) -> list[str]:
        """All notes, once there are `count` of them or `timeout` seconds have passed."""
        with self._grown:
            self._grown.wait_for(lambda: len(self._notes) >= count, timeout)
            return list(self._notes)

    def notes(self) -> list[str]:
        """All notes so far."""
        return self.wait(0, 0)


def where() -> str:
    """Where the caller runs: "loop" on an event loop's thread, inside a task of it; "thread" on any other."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return "thread"
    return "loop" if task is not None else "loop without a task"
