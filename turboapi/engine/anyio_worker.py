"""Makes call threads AnyIO workers. The one module that touches private parts of AnyIO.

Inside a handler on a call thread `anyio.from_thread.run`, `run_sync` and `check_cancelled` find what AnyIO
keeps in thread-local variables: the loop (claimed with `claim_worker_thread`, whose arguments differ between
AnyIO 3 and 4) and, since 4.1, a cancel scope. One scope per server stands for every call: cancelling
it makes `check_cancelled()` raise in all handlers that still run.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import math
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["Workers"]

# What AnyIO starts with. An application that wants exactly this many threads sets `call_threads`.
_ANYIO_DEFAULT = 40
_MOST_THREADS = 10_000

_log = logging.getLogger("turboapi.error")


class Workers:
    """What the call threads of one server share. Made on the loop's thread, inside the running loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # What calls see as their context: a copy of this one each.
        self.context = _thread_context()
        self._scope: Any = None
        self._limiter: Any = None
        if "anyio" not in sys.modules:
            return  # FastAPI imports it, and only FastAPI's handlers run on call threads
        try:
            import anyio
            import anyio.to_thread

            self._scope = anyio.CancelScope()
            self._limiter = anyio.to_thread.current_default_thread_limiter()
            with self._claim():
                pass
        except Exception as error:
            self._scope = None
            _log.warning("anyio.from_thread does not work in `def` handlers with this AnyIO: %r", error)

    def limit(self) -> int | None:
        """Return the thread limit that the application gave AnyIO, or None where AnyIO has its own default."""
        total = _ANYIO_DEFAULT if self._limiter is None else self._limiter.total_tokens
        if total == _ANYIO_DEFAULT:
            return None
        return _MOST_THREADS if math.isinf(total) else max(1, int(total))

    def cancel(self) -> None:
        """Make `check_cancelled()` raise in the handlers that still run. Loop's thread."""
        if self._scope is not None:
            self._scope.cancel()

    def run(self, work: Any) -> None:
        """Call `work()` on this thread as an AnyIO worker, in a context of its own."""
        context = self.context.copy()
        if self._scope is None:
            context.run(work)
            return
        with self._claim():
            context.run(work)

    @contextlib.contextmanager
    def _claim(self) -> Iterator[None]:
        from anyio._core import _eventloop

        claim: Any = _eventloop.claim_worker_thread
        local: Any = _eventloop.threadlocals
        if len(inspect.signature(claim).parameters) == 1:  # AnyIO 3
            with claim("asyncio"):
                local.loop = self._loop
                try:
                    yield
                finally:
                    del local.loop
            return
        backend = _eventloop.get_async_backend("asyncio")
        with claim(backend, self._loop):
            local.current_cancel_scope = self._scope
            try:
                yield
            finally:
                del local.current_cancel_scope


def _thread_context() -> contextvars.Context:
    """Return a copy of the current context that says nothing of an async library, as in AnyIO's own workers."""
    context = contextvars.copy_context()
    sniffio: Any = sys.modules.get("sniffio")
    if sniffio is not None:
        context.run(sniffio.current_async_library_cvar.set, None)
    return context
