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
import importlib
import inspect
import logging
import math
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Workers"]

# What AnyIO starts with. An application that wants exactly this many threads sets `call_threads`.
_ANYIO_DEFAULT = 40
_MOST_THREADS = 10_000
_BACKEND = "anyio._backends._asyncio"

_log = logging.getLogger("turboapi.error")


class Workers:
    """What the call threads of one server share. Made on the loop's thread, inside the running loop.

    AnyIO's part for asyncio takes 13 ms to import, so it is left to the first call of a `def` handler, as in FastAPI.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # What calls see as their context: a copy of this one each.
        self.context = _thread_context(None)
        self._lock = threading.Lock()
        # Makes the calling thread a worker; None before `prepare`.
        self._claim: Callable[[], contextlib.AbstractContextManager[Any]] | None = None
        self._scope: Any = None
        self._cancelled = False
        self._limiter: Any = None

    def limit(self) -> int | None:
        """Return the thread limit that the application gave AnyIO, or None where AnyIO has its own default.

        Loop's thread.
        """
        if self._limiter is None and _BACKEND in sys.modules:  # before that nobody can have set one
            try:
                self._limiter = _thread_context("asyncio").run(_limiter)
            except Exception:
                return None  # the first call thread tells the log
        total = _ANYIO_DEFAULT if self._limiter is None else self._limiter.total_tokens
        if total == _ANYIO_DEFAULT:
            return None
        return _MOST_THREADS if math.isinf(total) else max(1, int(total))

    def cancel(self) -> None:
        """Make `check_cancelled()` raise in the handlers that still run. Loop's thread."""
        with self._lock:
            self._cancelled = True
        if self._scope is not None:
            self._scope.cancel()

    def prepare(self) -> Callable[[], contextlib.AbstractContextManager[Any]]:
        """Return how a thread becomes a worker. Any thread.

        Who starts the first one calls it before: a thread that began with the import would look as if it hung in a
        call, and the lane would start more, to wait for the same import.
        """
        return self._claim or self._first()

    def run(self, work: Any) -> None:
        """Call `work()` on this thread as an AnyIO worker, in a context of its own."""
        claim = self.prepare()
        context = self.context.copy()
        with claim():
            context.run(work)

    def _first(self) -> Callable[[], contextlib.AbstractContextManager[Any]]:
        claim: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
        scope = None
        if "anyio" in sys.modules:  # FastAPI imports it, and only FastAPI's handlers run on call threads
            try:
                claim, scope = _ways(self._loop)
                with claim():
                    pass
            except Exception as error:
                claim, scope = contextlib.nullcontext, None
                _log.warning("anyio.from_thread does not work in `def` handlers with this AnyIO: %r", error)
        with self._lock:
            if self._claim is None:
                self._claim, self._scope = claim, scope
                if self._cancelled and scope is not None:
                    with contextlib.suppress(RuntimeError):  # the loop is closed
                        self._loop.call_soon_threadsafe(scope.cancel)
            return self._claim


def _ways(loop: asyncio.AbstractEventLoop) -> tuple[Callable[[], contextlib.AbstractContextManager[Any]], Any]:
    """Return what makes a thread a worker of the loop, and the scope that cancels such threads (None with AnyIO 3)."""
    from anyio._core import _eventloop

    importlib.import_module(_BACKEND)  # AnyIO 3 takes it for imported
    claim: Any = _eventloop.claim_worker_thread
    local: Any = _eventloop.threadlocals
    if len(inspect.signature(claim).parameters) == 1:

        @contextlib.contextmanager
        def third() -> Iterator[None]:
            with claim("asyncio"):
                local.loop = loop
                try:
                    yield
                finally:
                    del local.loop

        return third, None
    backend = _eventloop.get_async_backend("asyncio")
    scope = backend.create_cancel_scope()

    @contextlib.contextmanager
    def fourth() -> Iterator[None]:
        with claim(backend, loop):
            local.current_cancel_scope = scope
            try:
                yield
            finally:
                del local.current_cancel_scope

    return fourth, scope


def _limiter() -> Any:
    import anyio.to_thread

    return anyio.to_thread.current_default_thread_limiter()


def _thread_context(library: str | None) -> contextvars.Context:
    """Return a copy of the current context that names this async library; none, as in AnyIO's own workers."""
    context = contextvars.copy_context()
    sniffio: Any = sys.modules.get("sniffio")
    if sniffio is not None:
        context.run(sniffio.current_async_library_cvar.set, library)
    return context
