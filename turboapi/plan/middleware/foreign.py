"""Middleware that is known as an ASGI application only: it runs as it is, and is waited for at the gate."""

from __future__ import annotations

from typing import Any

from ..internals import Waiting, waiting
from .reply import Layer

__all__ = ["as_application", "foreign"]


def foreign(middleware: Any, below: Layer, exceptions: Any) -> Layer:
    """Return middleware as a layer. `below` is what the last of all middleware calls, at the gate `exceptions`."""

    async def layer(proxy: Any, scope: Any, receive: Any, send: Any) -> None:
        async def run(scope: Any, receive: Any, send: Any) -> None:
            response = await below(proxy, scope, receive, send)
            if response is not None:
                await response(scope, receive, send)

        here = Waiting(exceptions, run)
        waiting.set(here)
        try:
            await middleware(scope, receive, send)
        finally:
            here.end()

    return layer


def as_application(proxy: Any, below: Layer) -> Any:
    """Return a layer as an ASGI application, for one request."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = await below(proxy, scope, receive, send)
        if response is not None:
            await response(scope, receive, send)

    return app
