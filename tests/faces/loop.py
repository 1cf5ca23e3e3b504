"""An event loop on a thread of its own, for as long as one application lives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines, one after the other, as tasks of one loop; the loop turns between them, too."""

    def __init__(self, timeout: float = 120.0) -> None:
        self._timeout = timeout
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="own face", daemon=True)
        self._thread.start()
        self._ready.wait()

    def _main(self) -> None:
        asyncio.run(self._stay())

    async def _stay(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self._ready.set()
        await self._end.wait()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return its result here. TimeoutError after `timeout` seconds."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(self._timeout)
        except TimeoutError:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop; tasks that are left are cancelled."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
