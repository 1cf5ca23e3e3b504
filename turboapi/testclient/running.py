"""The server of a test client: a thread with a loop, the application's lifespan, and one run of the engine."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

from anyio.from_thread import BlockingPortal

from ..asgi.lifespan import Lifespan
from ..engine import exits, loops
from ..engine.failures import StartupFailed
from ..engine.serving import Serving
from ..engine.settings import Options, Settings
from ..engine.sockets import bind
from .contexts import callers
from .probe import Probe

__all__ = ["Running", "settings_of"]

# Whatever goes wrong in the lifespan is raised in the caller, so nobody has to read of it.
_silent = logging.getLogger("turboapi.testclient")
_silent.setLevel(logging.CRITICAL + 1)

# At the interpreter's exit a client that nobody closed has so long to stop, in seconds.
_EXIT_GRACE = 1.0


def settings_of(given: Options | None) -> Settings:
    """Return the settings of a test client's server: those given, and a port of the system's choice.

    Its answers have no header fields but the application's.
    """
    values: dict[str, Any] = {"server_header": None, "date_header": False, **(given or {})}
    fixed = {"host": "127.0.0.1", "port": 0, "uds": None, "access_log": False, "lifespan": "off", "timeout_stop": 0.0}
    fixed["verify"] = False
    clash = next((name for name in fixed if name in values), None)
    if clash is not None:
        raise TypeError(f"turboapi.testclient.TestClient: {clash!r} of the server is the test client's own")
    return Settings.of("turboapi.testclient.TestClient", {**values, **fixed})


class Running:
    """Serves `app` in a thread of its own from its making until close(). The lifespan runs if `lifespan` is a state.

    Raises what the application's start-up raises, BindError, and what a missing engine does.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        settings: Settings,
        probe: Probe,
        *,
        make_loop: Callable[[], Any],
        lifespan: dict[str, Any] | None,
    ) -> None:
        listeners = bind(settings.host, settings.port, settings.uds)
        self.probe = probe
        self.address = ("127.0.0.1", listeners.port or 0)
        self.portal: BlockingPortal
        self.app = app
        self._state = lifespan
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._serving = Serving(app, settings, listeners, probe=probe)
        self._thread = threading.Thread(
            target=callers().run, args=(self._main, make_loop), name="turboapi-testclient", daemon=True
        )
        exits.add(id(self), self._end)
        try:
            self._thread.start()
        except BaseException:
            exits.remove(id(self))
            listeners.close()
            raise
        try:
            self._ready.wait()
        except BaseException:  # Ctrl-C while the application starts
            self._serving.force()
            raise
        if not self._serving.was_up:
            self.close()

    @property
    def alive(self) -> bool:
        """Return whether it serves: a handler that raised SystemExit has ended it."""
        return self._thread.is_alive()

    def context(self) -> Context:
        """Return the caller's context, for what the application does for it."""
        return self._serving.adopt(callers())

    def cancel(self, port: int) -> None:
        """Cancel what runs for the client with this port. Any thread; does nothing once the server has ended."""
        try:
            self.portal.call(self._serving.cancel_of, port)
        except RuntimeError:
            pass

    def cancel_soon(self, port: int) -> None:
        """Do what cancel does, and wait for nothing. Loop's thread."""
        asyncio.get_running_loop().call_soon(self._serving.cancel_of, port)

    def ask(self) -> None:
        """Ask it to end, and wait for nothing. Any thread, the server's own included."""
        self._serving.stop()

    def close(self) -> None:
        """Stop and wait. Raises what the application's shutdown raised."""
        self.ask()
        if self._thread is not threading.current_thread():
            self._thread.join()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _main(self, make_loop: Callable[[], Any]) -> None:
        try:
            loops.run(make_loop, self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            exits.remove(id(self))
            self._ready.set()

    async def _serve(self) -> None:
        async with BlockingPortal() as portal:
            self.portal = portal
            try:
                await self._between(Lifespan(self.app, "off" if self._state is None else "on", log=_silent))
            except asyncio.CancelledError:
                raise
            except StartupFailed as failed:
                self._failure = failed.__cause__ or failed
            except BaseException as error:
                # Not through the portal, which would make a group of it.
                self._failure = error

    async def _between(self, lifespan: Lifespan) -> None:
        if self._state is not None:
            lifespan.state = self._state
        try:
            await lifespan.startup()
            await self._serving.serve(self._ready.set)
        finally:
            self._serving.listeners.close()
            await lifespan.shutdown()
        if lifespan.error is not None:
            raise lifespan.error

    def _end(self) -> None:
        self.ask()
        self._thread.join(_EXIT_GRACE)
