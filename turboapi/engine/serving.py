"""One server from start-up to clean-up, on the running loop.

    bind -> lifespan start-up -> open the core -> compile the routes -> turn ... -> drain -> lifespan shutdown -> close

Stopping is graceful until the time limit or `force`; whatever happens, the core, its descriptor
and the threads are gone when `serve` returns.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..asgi.extensions import extensions
from ..asgi.lifespan import Lifespan
from . import _load, control, logs, loops
from .anyio_worker import Workers
from .calls import CallThreads
from .routes import Routes, is_fastapi
from .settings import Settings
from .sockets import Listeners

if TYPE_CHECKING:
    from . import _hot
    from .shadow import Shadow

__all__ = ["Serving"]

# Call threads at most, where neither the settings nor the application say.
_DEFAULT_CALL_THREADS = 256
# How often the engine's log lines are written and the limit of call threads is looked at, in seconds:
# while lines come, while access lines may come, and otherwise.
_TICK_BUSY, _TICK_ACCESS, _TICK = 0.05, 0.2, 1.0
# Cancelled handlers have so long for their clean-up, idle call threads to end, in seconds.
_UNWIND = 1.0
# While the server drains it looks this often whether all is done, in seconds.
_LOOK = 0.005

# The server that the current request belongs to; call threads and AnyIO's threads inherit it.
_serving: contextvars.ContextVar[Serving | None] = contextvars.ContextVar("turboapi_serving", default=None)

_EAGER = sys.version_info >= (3, 12)


class Serving:
    """One run of a server. Made once, served once. `stop` and `force` may be called by any thread."""

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        settings: Settings,
        listeners: Listeners,
        *,
        behind: Serving | None = None,
        probe: _hot.Probe | None = None,
    ) -> None:
        """Make it.

        behind: the run whose answers this one's are compared with; it has the lifespan and the log.
        probe: what a test client looks through; then nothing that the client tells itself is logged.
        """
        self.listeners = listeners
        # SystemExit or KeyboardInterrupt that a handler raised; serve() raises it at its end.
        self.exit: BaseException | None = None
        # Whether requests were ever accepted.
        self.was_up = False
        self._app = app
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._stop = asyncio.Event()
        self._stopping = False
        self._forced = False
        self._cutting = False
        self._handle = 0
        self._hot: _hot.Server | None = None
        self._threads: CallThreads | None = None
        self._routes: Routes | None = None
        self._tick_timer: asyncio.TimerHandle | None = None
        self._thread_limit = 0
        self._access = False
        self._behind = behind
        self._state: dict[str, Any] = {}
        self._shadow: Shadow | None = None
        self._probe = probe

    async def serve(self, started: Callable[[], None]) -> None:
        """Serve until `stop`. Calls `started` once requests are accepted.

        Raises StartupFailed, BindError, or the exit that a handler asked for. Cancelling it stops
        gracefully and then cancels; cancelling it again stops at once.
        """
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        if self._stopping:  # asked before there was a loop to tell
            self._stop.set()
        lifespan = Lifespan(self._app, self._settings.lifespan)
        try:
            await lifespan.startup()
            try:
                try:
                    self._state = lifespan.state if self._behind is None else self._behind._state
                    if self._settings.verify:
                        self._shadow = await self._verified()
                    self._open()
                    self.was_up = True
                    started()
                    await self._stop.wait()
                finally:
                    await self._end()
            except asyncio.CancelledError:
                if not self._forced:
                    await lifespan.shutdown()
                raise
            except BaseException:
                await lifespan.shutdown()
                raise
            else:
                await lifespan.shutdown()
        except asyncio.CancelledError:
            if not self._forced:
                raise
            await lifespan.abandon()
            logs.error.warning("Stopped at once.")
        finally:
            self.listeners.close()
            self._loop = self._task = None
        if self.exit is not None:
            raise self.exit

    def stop(self) -> None:
        """Ask for a graceful stop."""
        self._stopping = True
        self._call(self._stop.set)

    def force(self) -> None:
        """Stop at once: running handlers are cancelled, the application's lifespan too."""
        self._stopping = True
        self._call(self._cut)

    def inside(self) -> bool:
        """Return whether the calling code runs for a request of this server, or on its loop."""
        if _serving.get() is self:
            return True
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def adopt(self, context: contextvars.Context) -> contextvars.Context:
        """Make code that runs in this context code of this server; return it."""
        context.run(_serving.set, self)
        return context

    def cancel_of(self, port: int) -> None:
        """Cancel what runs for the client with this port. Loop's thread."""
        if self._hot is not None:
            self._hot.cancel_of(port)

    def stats(self) -> dict[str, Any]:
        """Return the counters of the engine and of the hot path; empty while the core is not open."""
        hot = self._hot
        if hot is None:
            return {}
        counts = {} if self._shadow is None else self._shadow.verify.counts
        return {**control.stats(self._handle), **hot.stats(), **counts}

    def _call(self, what: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(what)
            except RuntimeError:  # the loop is closed, and with it everything here
                pass

    def _cut(self) -> None:
        if self._task is not None and not self._forced:
            self._forced = True
            self._task.cancel()

    async def _verified(self) -> Shadow | None:
        if not is_fastapi(self._app):
            logs.error.warning("Verify: this is no FastAPI application, so there is nothing to compare.")
            return None
        from .shadow import Shadow

        settings = dataclasses.replace(self._settings, verify=False, access_log=False, lifespan="off")
        return await Shadow.start(
            self._app, settings, lambda sockets: Serving(self._app, settings, sockets, behind=self)
        )

    def _open(self) -> None:
        loop = asyncio.get_running_loop()
        settings = self._settings
        logs.set_level(settings.log_level)
        # Lines that nobody would write are not made.
        self._access = settings.access_log and logs.access.isEnabledFor(logging.INFO)
        self.listeners.listen(settings.backlog)
        self._handle = control.open_core(
            settings.for_engine(
                self.listeners.for_engine(),
                # What a test client itself asks for is no news to its caller.
                log_level=max(logs.error.getEffectiveLevel(), 0 if self._probe is None else logging.WARNING),
                access_log=self._access,
            )
        )
        context = contextvars.copy_context()
        context.run(_serving.set, self._behind or self)
        workers = context.run(Workers, loop)
        self._threads = CallThreads(workers)
        self._thread_limit = self._call_limit(workers)
        app = self._app if self._shadow is None else self._shadow.verify
        self._routes = Routes(app, loop, root_path=self._probe.root_path if self._probe is not None else "")
        self._hot = workers.context.run(
            _load.hot().Server,
            self._handle,
            control.fd(self._handle),
            loop=loop,
            app=app,
            state=self._state,
            root_path=settings.root_path,
            errors=self._routes.errors,
            task_type=asyncio.Task,
            eager=_EAGER,
            spawn=self._threads.spawn,
            limit=self._thread_limit,
            queue_limit=settings.call_queue,
            on_change=self._routes.changed,
            on_exit=self._exit,
            log=self._log,
            extensions=extensions(self._app),
        )
        if self._probe is not None:
            self._hot.set_probe(self._probe)
        self._threads.attach(self._hot)
        self._routes.install(self._hot, self._handle)
        context.run(loop.add_reader, self._hot.fd(), self._hot.turn)
        self._tick_timer = loop.call_later(self._rest(), self._tick)
        self._tell(
            "TurboAPI %s on %s (process %d, %s, %s, CPython %s)",
            __version__,
            self.listeners.url,
            os.getpid(),
            settings.chosen_transport,
            loops.kind(loop),
            sys.version.split()[0],
        )

    def _tell(self, message: str, *args: object) -> None:
        if self._behind is None and self._probe is None:
            logs.error.info(message, *args)

    def _log(self, level: int, message: str, exc: BaseException | None) -> None:
        if self._cutting and isinstance(exc, asyncio.CancelledError):
            exc = None  # our own doing; where each handler was is no news
        if self._probe is not None and exc is None:
            level = logging.DEBUG  # a test may hold the loop as long as it likes, and sees an answer that breaks off
        logs.from_hot(level, message, exc)

    def _call_limit(self, workers: Workers) -> int:
        return self._settings.call_threads or workers.limit() or _DEFAULT_CALL_THREADS

    def _tick(self) -> None:
        loop, hot, threads = self._loop, self._hot, self._threads
        if loop is None or hot is None or threads is None:
            return
        lines = logs.emit(control.logs(self._handle))
        self._tick_timer = loop.call_later(_TICK_BUSY if lines else self._rest(), self._tick)
        limit = self._call_limit(threads.workers)
        if limit != self._thread_limit:
            self._thread_limit = limit
            hot.set_limit(limit)

    def _rest(self) -> float:
        return _TICK_ACCESS if self._access else _TICK

    def _exit(self, error: BaseException) -> None:
        if self.exit is None:
            self.exit = error
        self._stop.set()

    async def _end(self) -> None:
        """Let running requests finish, within the limit, and take everything down."""
        try:
            if self._hot is not None and not self._forced:
                self._tell("Stopping.")
                control.drain(self._handle)
                self.listeners.close()
                await self._drained(self._settings.timeout_stop)
                left = self._left()
                if left:
                    logs.error.log(
                        logging.WARNING if self._probe is None else logging.DEBUG,
                        "%d still open after %g s; they are cut off.",
                        left,
                        self._settings.timeout_stop,
                    )
                    await self._cancelled()
        except asyncio.CancelledError:
            self._cancel_now()
            raise
        finally:
            await self._close()

    def _left(self) -> int:
        hot = self._hot
        return 0 if hot is None else max(control.active(self._handle), hot.in_flight())

    async def _drained(self, limit: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit
        while self._left() and loop.time() < deadline:  # noqa: ASYNC110 (Go has no event to wait for)
            await asyncio.sleep(_LOOK)

    def _cancel_now(self) -> None:
        self._cutting = True
        if self._hot is not None and self._threads is not None:
            self._threads.workers.cancel()
            self._hot.cancel_all()

    async def _cancelled(self) -> None:
        self._cancel_now()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _UNWIND
        hot = self._hot
        while hot is not None and hot.in_flight() and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK)

    async def _close(self) -> None:
        loop = asyncio.get_running_loop()
        if self._tick_timer is not None:
            self._tick_timer.cancel()
        if self._routes is not None:
            self._routes.close()
        hot, self._hot = self._hot, None
        handle, self._handle = self._handle, 0
        if hot is not None:
            loop.remove_reader(hot.fd())
            hot.close()
        if handle:
            logs.emit(control.logs(handle))
            control.close(handle)
        shadow, self._shadow = self._shadow, None
        if shadow is not None:
            await shadow.stop()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.detach()
            deadline = loop.time() + _UNWIND
            while threads.alive() and loop.time() < deadline:
                # A short wait off the loop would need a thread; they end within microseconds unless one hangs.
                threads.join(_LOOK / 5)
                await asyncio.sleep(0)
            if threads.alive():
                logs.error.warning("%d `def` handlers did not end; their threads are left alone.", threads.alive())
