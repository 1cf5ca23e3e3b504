"""App: a fastapi.FastAPI that can serve itself."""

from __future__ import annotations

from typing import Unpack

import fastapi

from .engine import logs
from .engine.failures import BindError, StartupFailed
from .engine.server import Server
from .engine.settings import Options

__all__ = ["App", "TurboAPI"]


class App(fastapi.FastAPI):
    """A FastAPI application with `run()`. Everything else, every argument included, is FastAPI's."""

    def run(
        self,
        *,
        host: str | None = "127.0.0.1",
        port: int = 8000,
        uds: str | None = None,
        **settings: Unpack[Options],
    ) -> None:
        """Serve this application in this process until SIGINT or SIGTERM; the settings are those of `turboapi.Server`.

        For the end of a script. Where logging has no handlers it gets plain ones. Exits with code 1, and a message
        instead of a traceback, when the address cannot be listened on or the application's start-up fails.
        """
        server = Server(self, host=host, port=port, uds=uds, **settings)
        if not logs.configured():
            logs.configure(server.settings.log_level)
        try:
            server.run()
        except BindError as error:
            logs.error.critical("%s", error.strerror)
            raise SystemExit(1) from None
        except StartupFailed:
            raise SystemExit(1) from None


TurboAPI = App
