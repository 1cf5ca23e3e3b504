"""The public Server: one application, its settings, and three ways to serve it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from . import exits, loops, signals
from ._load import EngineForked
from .routes import compiled
from .serving import Serving
from .settings import Options, Settings
from .sockets import bind

if TYPE_CHECKING:
    from ..plan import RouteReport

__all__ = ["Server"]

# At the interpreter's exit a server that nobody stopped has so long to stop gracefully, then to be forced.
_EXIT_GRACE = 5.0
_EXIT_FORCE = 1.0


class Server:
    """Serves one ASGI application on the engine.

    app: an ASGI 3 application; the routes of a `fastapi.FastAPI` run compiled.
    host, port, uds: where to listen. port 0 lets the system choose, see `port`. A Unix socket `uds` replaces both.
    settings: every other setting, see `Settings` for names, defaults and units. TURBOAPI_VERIFY=1 in the environment
    sets `verify` where it is not given.

    run() serves in this thread until a signal; start() and stop(), or a `with` block, serve in a thread in the
    background; `await serve()`, or an `async with` block, serves as a guest of the running loop. A server serves once
    at a time, and again after it has stopped. Any number of servers may live in one process.

    Raises TypeError for an unknown setting and a wrong type, ValueError for a value out of range.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        *,
        host: str | None = "127.0.0.1",
        port: int = 8000,
        uds: str | None = None,
        **settings: Unpack[Options],
    ) -> None:
        if not callable(app):
            raise TypeError(f"turboapi.Server: app must be an ASGI application, which is a callable, not {app!r}")
        self.app = app
        if "verify" not in settings and os.environ.get("TURBOAPI_VERIFY", "").lower() in ("1", "true", "yes", "on"):
            settings["verify"] = True
        self.settings = Settings.of("turboapi.Server", {"host": host, "port": port, "uds": uds, **settings})
        self._lock = threading.Lock()
        self._serving: Serving | None = None
        self._process = 0
        self._up = False
        self._thread: threading.Thread | None = None
        # Serves within `async with`.
        self._guest: asyncio.Task[None] | None = None
        # What ended the background thread, if not a stop.
        self._failure: BaseException | None = None

    @property
    def started(self) -> bool:
        """Return whether requests are accepted."""
        return self._up

    @property
    def port(self) -> int:
        """Return the TCP port that the server listens on. Raises RuntimeError when it does not serve, and on `uds`."""
        port = self._current("port").listeners.port
        if port is None:
            raise RuntimeError("turboapi.Server: a server on a Unix socket has no port")
        return port

    @property
    def url(self) -> str:
        """Return where the server can be reached, as http://127.0.0.1:8000. Raises RuntimeError as `port` does."""
        return self._current("url").listeners.url

    def routes(self) -> list[RouteReport]:
        """Return each route with whether it is compiled, or the reason for its fallback. Empty for other ASGI apps.

        The application is asked as it is now: routes that its lifespan adds are seen once it runs.
        """
        made = compiled(self.app)
        return [] if made is None else list(made.report)

    def stats(self) -> dict[str, Any]:
        """Return counters of the engine and the lanes, as plain numbers; empty while the server does not serve."""
        serving = self._serving
        return {} if serving is None or not self._up else serving.stats()

    def run(self) -> None:
        """Serve in this thread until SIGINT, SIGTERM, stop() or an exit in a handler.

        The first signal stops gracefully, the second at once; the handlers that were there before are put back.
        In another than the main thread no signals are caught. Raises BindError, StartupFailed, and SystemExit or
        KeyboardInterrupt when a handler did.
        """
        self.run_until_signal()

    def run_until_signal(self) -> signals.Caught:
        """Do what run() does, and return the signals that came."""
        if asyncio._get_running_loop() is not None:
            raise RuntimeError(
                "turboapi.Server: run() blocks, and a loop already runs in this thread; await serve(), or use start()"
            )
        make = loops.factory(self.settings.loop)
        serving = self._claim()
        try:
            with (
                _switch_interval(self.settings.switch_interval),
                signals.catch(serving.stop, serving.force) as caught,
            ):
                loops.run(make, serving.serve(self._started))
        finally:
            self._release()
        return caught

    async def serve(self) -> None:
        """Serve on the running loop until stop(), or until this task is cancelled, which stops gracefully too.

        No signal handlers are installed, and the settings loop and switch_interval are not used.
        Raises BindError, StartupFailed, and SystemExit or KeyboardInterrupt when a handler did.
        """
        await self._serve(self._started)

    async def _serve(self, started: Callable[[], None]) -> None:
        serving = self._claim()
        exits.add(id(self), serving.force)
        try:
            await serving.serve(started)
        finally:
            exits.remove(id(self))
            self._release()

    def start(self) -> Self:
        """Serve on a loop of its own in a background thread, and return once requests are accepted.

        The thread is a daemon, and the interpreter's exit stops the server. Raises BindError or
        StartupFailed; then nothing is left behind.
        """
        make = loops.factory(self.settings.loop)
        serving = self._claim()
        ready = threading.Event()
        self._failure = None

        def started() -> None:
            self._started()
            ready.set()

        def main() -> None:
            try:
                loops.run(make, serving.serve(started))
            except BaseException as error:
                self._failure = error
            finally:
                exits.remove(id(self))
                self._release()
                ready.set()

        thread = threading.Thread(target=main, name="turboapi-server", daemon=True)
        exits.add(id(self), lambda: self._end(serving, thread))
        self._thread = thread
        try:
            thread.start()
        except BaseException:
            exits.remove(id(self))
            self._thread = None
            serving.listeners.close()
            self._release()
            raise
        try:
            ready.wait()
        except BaseException:  # Ctrl-C while the application starts
            serving.force()
            raise
        if self._failure is not None and not serving.was_up:
            self._join(thread)
        return self

    def stop(self) -> None:
        """Stop gracefully. A server in the background is waited for; otherwise this only asks. Any thread.

        Called by a handler, it only asks as well, since the server waits for its handlers. Does nothing when the
        server does not serve. Raises what ended the background thread, if that was SystemExit or KeyboardInterrupt
        of a handler.
        """
        self._same_process()
        serving, thread = self._serving, self._thread
        if serving is not None:
            serving.stop()
        if thread is None or thread is threading.current_thread() or (serving is not None and serving.inside()):
            return
        self._join(thread)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        """Serve as a guest of the running loop, in a task, and return once requests are accepted. Raises as serve()."""
        up = asyncio.Event()

        def started() -> None:
            self._started()
            up.set()

        self._guest = asyncio.create_task(self._serve(started), name="turboapi-server")
        waiting = asyncio.create_task(up.wait())
        try:
            await asyncio.wait({self._guest, waiting}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._guest.cancel()
            await asyncio.wait({self._guest})
            raise
        finally:
            waiting.cancel()
        if self._guest.done():
            await self._guest
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        guest, self._guest = self._guest, None
        if guest is not None:
            await guest

    def _started(self) -> None:
        self._up = True

    def _join(self, thread: threading.Thread) -> None:
        thread.join()
        if self._thread is thread:
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _current(self, what: str) -> Serving:
        serving = self._serving
        if serving is None:
            raise RuntimeError(f"turboapi.Server: no {what}: the server does not serve")
        return serving

    def _claim(self) -> Serving:
        with self._lock:
            self._same_process()
            if self._serving is not None:
                raise RuntimeError("turboapi.Server: this server already serves; make another one, or stop it first")
            settings = self.settings
            self._serving = Serving(self.app, settings, bind(settings.host, settings.port, settings.uds))
            self._process = os.getpid()
            return self._serving

    def _release(self) -> None:
        with self._lock:
            self._serving = None
            self._up = False

    def _same_process(self) -> None:
        if self._serving is not None and self._process != os.getpid():
            raise EngineForked(
                f"this server runs in process {self._process}, and process {os.getpid()} is a fork of it, "
                "without its threads: only the parent can use it"
            )

    def _end(self, serving: Serving, thread: threading.Thread) -> None:
        """At the interpreter's exit: gracefully first, then at once; then the thread dies with the process."""
        serving.stop()
        thread.join(_EXIT_GRACE)
        if thread.is_alive():
            serving.force()
            thread.join(_EXIT_FORCE)


@contextlib.contextmanager
def _switch_interval(seconds: float | None) -> Iterator[None]:
    before = sys.getswitchinterval()
    if seconds is not None:
        sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        if seconds is not None:
            sys.setswitchinterval(before)
