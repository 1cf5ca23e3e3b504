"""The ASGI lifespan protocol: one task that lives as long as the server and brackets it.

States of a Lifespan, moved by its task's messages and its end:

    new -> starting -> started -> stopping -> stopped
              |           |
              v           v
           failed     finished (the application has no lifespan support, or left early)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

from ..engine.failures import StartupFailed

__all__ = ["Lifespan"]

App = Callable[..., Awaitable[None]]
Message = MutableMapping[str, Any]

_log = logging.getLogger("turboapi.error")


class Lifespan:
    """Runs an application's lifespan in a task of the running loop.

    mode "auto": an application that raises before it has answered has no lifespan support, and that is fine.
    mode "on": the same is a failure. mode "off": the application never sees a lifespan.
    `state` is what the application put there; requests get shallow copies of it. What happens is told to `log`.
    """

    def __init__(self, app: App, mode: Literal["auto", "on", "off"], *, log: logging.Logger = _log) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._mode = mode
        self._task: asyncio.Task[None] | None = None
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()
        self._failed = False
        self._abandoned = False
        self._log = log
        # What left the application.
        self.error: BaseException | None = None

    async def startup(self) -> None:
        """Wait until the application is up. Raises StartupFailed, or what left the application if it is an exit."""
        if self._mode == "off":
            return
        self._log.info("Waiting for application startup.")
        self._inbox.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.get_running_loop().create_task(self._run(), name="turboapi-lifespan")
        try:
            await self._started.wait()
        except asyncio.CancelledError:
            await self.abandon()
            raise
        if isinstance(self.error, (SystemExit, KeyboardInterrupt)):
            raise self.error
        if self._failed or (self.error is not None and self._mode == "on"):
            if not self._failed:
                self._log.error("Exception in the application's lifespan.", exc_info=self.error)
            await self._gone()
            self._log.error("Application startup failed.")
            raise StartupFailed("the application's startup failed; its report is in the log") from self.error
        if self.error is not None:
            self._log.info("The application has no lifespan support.")
        else:
            self._log.info("Application startup complete.")

    async def shutdown(self) -> None:
        """Let the application shut down and wait for it. What goes wrong is logged, except an exit, which is raised."""
        if self._task is None or self.error is not None or self._failed:
            return
        self._log.info("Waiting for application shutdown.")
        self._inbox.put_nowait({"type": "lifespan.shutdown"})
        try:
            await self._stopped.wait()
            await self._gone()
        except asyncio.CancelledError:
            await self.abandon()
            raise
        if isinstance(self.error, (SystemExit, KeyboardInterrupt)):
            raise self.error
        if self._failed or self.error is not None:
            if not self._failed:
                self._log.error("Exception in the application's lifespan.", exc_info=self.error)
            self._log.error("Application shutdown failed.")
        else:
            self._log.info("Application shutdown complete.")

    async def abandon(self) -> None:
        """Cancel the application's lifespan, wherever it is, and wait for it."""
        if self._task is not None and not self._task.done():
            self._abandoned = True
            self._task.cancel()
            await asyncio.wait([self._task], timeout=1)

    async def _gone(self) -> None:
        # After its last message the application may still run its own epilogue.
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._inbox.get, self._send)
        except BaseException as error:
            # An exit, too, ends here: a task that lets it out stops the loop in the middle of everything.
            self.error = error
            if isinstance(error, asyncio.CancelledError) and not self._started.is_set():
                raise
        finally:
            self._started.set()
            self._stopped.set()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        phase, _, outcome = kind.removeprefix("lifespan.").partition(".")
        event = {"startup": self._started, "shutdown": self._stopped}.get(phase)
        if event is None or outcome not in ("complete", "failed"):
            raise RuntimeError(f"lifespan: the application sent {kind!r}, which is no message of this protocol")
        if event.is_set() or (phase == "shutdown" and not self._started.is_set()):
            raise RuntimeError(f"lifespan: the application sent {kind!r} out of turn")
        if outcome == "failed":
            self._failed = True
            # What an abandoned application says of its own cancellation is no news.
            if message.get("message") and not self._abandoned:
                self._log.error(message["message"])
        event.set()
