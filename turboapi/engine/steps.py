"""A sync iterator, stepped on call threads for the loop: many steps with one hop, as long as they are quick."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from typing import Any

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled

__all__ = ["Steps"]

# Seconds for which a thread goes on, and after which the loop takes what there is while a step still runs.
_GOES_ON = 0.0005
_WAITS = 0.001
# What one hop makes at most: characters or bytes.
_MOST = 65536

_END = object()


class Steps:
    """The steps of one iterator.

    Each runs in its own copy of the task's context, none beside another, as Starlette has it with a thread for each.
    What a step has made never waits for the next step longer than a millisecond. Starlette asks for a chunk when the
    one before was sent; here they may be as far ahead as the response's buffer is.
    """

    def __init__(self, iterable: Iterable[Any], run: Callable[..., asyncio.Future[bool]]) -> None:
        """Make it. run: calls a function on a call thread."""
        self._iterator = iter(iterable)
        self._run = run
        # Filled by the thread, emptied by the loop.
        self._made: deque[Any] = deque()
        self._running: asyncio.Future[bool] | None = None
        self._more = True
        self._stop = False
        self._failed: BaseException | None = None

    def stop(self) -> None:
        """Have the thread begin no other step."""
        self._stop = True

    @property
    def more(self) -> bool:
        """Whether there may be something to take, or to raise."""
        return self._more or self._failed is not None

    async def take(self) -> list[Any]:
        """Return what the iterator has given since the last time, if only nothing for now. Raises what it raises."""
        if self._running is not None:
            # One step takes its time: what was made before it has been taken.
            self._stop = True
            await self._wait(None)
        elif self._more:
            await checkpoint_if_cancelled()
            self._stop = False
            self._running = self._run(self._go, self._iterator)
            await self._wait(_WAITS)
        made = self._made
        if not made and self._running is None:
            self._raise()
        return [made.popleft() for _ in range(len(made))]

    async def _wait(self, seconds: float | None) -> None:
        """Wait for the thread, however long its step takes: what comes after the stream comes after the step."""
        running = self._running
        assert running is not None
        with CancelScope(shield=True):
            try:
                await asyncio.wait((running,), timeout=seconds)
            except BaseException:
                self._stop = True
                raise
        if running.done():
            self._running = None
            self._more = running.result()

    def _raise(self) -> None:
        error, self._failed = self._failed, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # it holds this frame

    def _go(self, iterator: Iterator[Any]) -> bool:
        """Take steps on this thread; return whether there are more."""
        made, size, until = self._made, 0, time.monotonic() + _GOES_ON
        while True:
            try:
                chunk = copy_context().run(next, iterator, _END)
            except BaseException as error:
                self._failed = error
                return False
            if chunk is _END:
                return False
            made.append(chunk)
            if not isinstance(chunk, (bytes, str)):
                return True
            size += len(chunk)
            if self._stop or size >= _MOST or time.monotonic() >= until:
                return True
