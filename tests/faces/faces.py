"""The two faces of an application: its own ASGI interface in this process, and a server over sockets."""

from __future__ import annotations

import importlib
import os
from typing import Any, NamedTuple, Protocol

from .client import Client
from .loop import LoopThread
from .oracle import Oracle
from .reply import Reply
from .request import Request

Peer = tuple[str, int]


class Served(Protocol):
    """A server that runs one application on a free port, in this process."""

    port: int
    reopens: bool

    def stop(self) -> None: ...
    def fallbacks(self) -> int | None: ...


class Verdict(NamedTuple):
    """What became of one route."""

    methods: frozenset[str]
    path: str
    outcome: str


class TurboServed:
    """The engine. Only this class and `verdicts` know its interface."""

    reopens = False

    def __init__(self, app: Any, transport: str) -> None:
        from turboapi import Server

        self._server = Server(app, port=0, transport=transport)
        self._server.start()
        self.port = self._server.port

    def stop(self) -> None:
        self._server.stop()

    def fallbacks(self) -> int | None:
        """How many requests the application itself has answered so far; None where nobody counts."""
        return self._server.stats()["fallbacks"]


def verdicts(app: Any) -> list[Verdict]:
    """Methods, path and "compiled" or "fallback: reason" of every route; nothing where the engine is not asked."""
    if "FACES_SERVER" in os.environ:
        return []
    from turboapi import Server

    return [Verdict(frozenset(route.methods or ()), route.path, route.outcome) for route in Server(app).routes()]


def serve(app: Any, transport: str) -> Served:
    """Start a server.

    FACES_SERVER=module:callable puts another one in the engine's place, which is how the harness itself is
    checked: against a server that is known to be right.
    """
    other = os.environ.get("FACES_SERVER")
    if other is None:
        return TurboServed(app, transport)
    module, _, name = other.partition(":")
    return getattr(importlib.import_module(module), name)(app, transport)


class ServedFace:
    """An application on a server, asked by raw bytes."""

    def __init__(self, app: Any, transport: str) -> None:
        self.app = app
        self.server = serve(app, transport)
        self.client = Client(self.server.port, reopens=self.server.reopens)

    def ask(self, asked: Request) -> Reply:
        return self.client.ask(asked)

    def close(self) -> None:
        try:
            self.client.finish()
        finally:
            self.server.stop()


class OwnFace:
    """An application in this process, on a loop's thread of its own, with its lifespan around everything."""

    def __init__(self, app: Any, server: Peer) -> None:
        self.app = app
        self._loop = LoopThread()
        self._oracle = Oracle(app, server)
        try:
            self._loop.run(self._oracle.startup())
        except BaseException:
            self._loop.close()
            raise

    def ask(self, asked: Request, client: Peer) -> Reply:
        return self._loop.run(self._oracle.ask(asked, client))

    def close(self) -> None:
        try:
            self._loop.run(self._oracle.shutdown())
        finally:
            self._loop.close()
