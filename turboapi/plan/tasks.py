"""Tasks whose first step is made at once, where Python can."""

from __future__ import annotations

import sys
from asyncio import Task, get_running_loop
from typing import Any

__all__ = ["EAGER", "ended", "spawn"]

# Python 3.11 makes the first step in the loop's next iteration.
EAGER = sys.version_info >= (3, 12)

if sys.version_info >= (3, 12):

    def spawn(coroutine: Any) -> Task[Any]:
        """Run a coroutine as a task of the running loop, with a copy of the context."""
        return Task(coroutine, loop=get_running_loop(), eager_start=True)

else:

    def spawn(coroutine: Any) -> Task[Any]:
        """Run a coroutine as a task of the running loop, with a copy of the context."""
        return Task(coroutine, loop=get_running_loop())


async def ended(task: Task[Any]) -> None:
    """Wait until a task has ended, in whatever way, as `asyncio.wait` does. Cancelling this leaves it alone."""
    waiter = get_running_loop().create_future()

    def wake(_task: Any) -> None:
        if not waiter.done():
            waiter.set_result(None)

    task.add_done_callback(wake)
    try:
        await waiter
    finally:
        task.remove_done_callback(wake)
