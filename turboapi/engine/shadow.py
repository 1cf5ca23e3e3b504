"""The second server of verify mode: the compiled routes of the same application, on the same loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

from . import logs
from .settings import Settings
from .sockets import Listeners, bind
from .verify import Verify

if TYPE_CHECKING:
    from .serving import Serving

__all__ = ["Shadow"]

_HOST = "127.0.0.1"


class Shadow:
    """A running second server, and the application that asks it. Made by `start`; `stop` it once."""

    def __init__(self, app: Callable[..., Awaitable[None]], settings: Settings, serving: Serving) -> None:
        port = serving.listeners.port
        assert port is not None
        self.verify = Verify(app, (_HOST, port), settings.root_path)
        self._serving = serving
        self._up = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="turboapi-verify-server")

    @classmethod
    async def start(
        cls, app: Callable[..., Awaitable[None]], settings: Settings, make: Callable[[Listeners], Serving]
    ) -> Self:
        """Serve on a port of the system's choice; return once requests are accepted. Raises BindError."""
        shadow = cls(app, settings, make(bind(_HOST, 0, None)))
        await shadow._up.wait()
        return shadow

    async def stop(self) -> None:
        """Stop comparing, then the server."""
        await self.verify.close()
        self._serving.stop()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            await self._serving.serve(self._up.set)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # An exit of a handler's second run, say: the first one has said the same to the public server.
            logs.error.error("Verify: the second server ended.", exc_info=error)
        finally:
            self._up.set()
