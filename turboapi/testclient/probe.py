"""What a test client sees of a request beyond its answer: its scope, what it raised, and its end.

The hot path calls a Probe (see engine/_hot.pyi) on whichever thread the request is; the client waits on the Call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, MutableMapping
from contextvars import Context
from typing import Any

__all__ = ["Call", "Probe"]


class Call:
    """One request, from before it is sent until nothing runs for it any more."""

    __slots__ = (
        "accepted",
        "begun",
        "cancelled",
        "context",
        "debug",
        "failure",
        "left",
        "odd",
        "over",
        "refusal",
        "scheme",
        "scope",
        "server",
        "told",
    )

    def __init__(self, scheme: str, server: list[Any]) -> None:
        self.scheme = scheme
        # What the application got.
        self.scope: dict[str, Any] = {}
        self.server = server
        # What the application runs in; None: the server's own.
        self.context: Context | None = None
        # Entries of the scope that were not sent as they are; odd: a plan would answer differently.
        self.told: dict[str, Any] = {}
        self.odd = False
        # The application has it. The engine answers some requests by itself: those are over with their answer.
        self.begun = False
        # What left the application.
        self.failure: BaseException | None = None
        # What a template was rendered from.
        self.debug: dict[str, Any] | None = None
        # The handshake was answered with 101.
        self.accepted = False
        # The websocket.close of a conversation that was never accepted.
        self.refusal: MutableMapping[str, Any] | None = None
        # What to do about an application that still talks to a client that has left for good.
        self.left: Callable[[], None] | None = None
        # The client asked for the end, so a cancellation is no failure.
        self.cancelled = False
        self.over = threading.Event()


class Probe:
    """The calls of one test client, by the port that each one's connection has.

    state: what the lifespan left; every scope gets a copy. client, root_path: for the scopes.
    """

    def __init__(self, *, state: dict[str, Any], client: tuple[str, int], root_path: str) -> None:
        self._state = state
        self._client = client
        self.root_path = root_path
        self._calls: dict[int, Call] = {}

    def begin(self, port: int, call: Call) -> None:
        """Expect a request from this port."""
        self._calls[port] = call

    def forget(self, port: int) -> None:
        """Expect nothing more from this port."""
        self._calls.pop(port, None)

    def began(self, port: int, /) -> tuple[Context, bool] | None:
        """Know that the application has to be waited for."""
        call = self._calls.get(port)
        if call is None:
            return None
        call.begun = True
        return None if call.context is None else (call.context, not call.odd)

    def scope(self, port: int, scope: dict[str, Any], /) -> None:
        """Give the application the scope that Starlette's test client would."""
        call = self._calls.get(port)
        if call is None:
            return
        scope["client"] = self._client
        scope["server"] = list(call.server)
        scope["scheme"] = call.scheme
        scope["root_path"] = self.root_path
        scope["state"] = self._state.copy()
        scope.update(call.told)
        call.scope = scope
        if scope["type"] == "http":
            scope["extensions"]["http.response.debug"] = {}

    def failed(self, port: int, exc: BaseException | None, /) -> bool:
        """Keep what left the application for the caller of the client."""
        call = self._calls.get(port)
        if call is None:
            return False
        if exc is None:
            exc = AssertionError("TestClient did not receive any response.")
        if not (call.cancelled and isinstance(exc, asyncio.CancelledError)):
            call.failure = exc
        return True

    def message(self, port: int, message: MutableMapping[str, Any], /) -> None:
        """Keep what no answer carries: what a template was rendered from, and the code of a refusal.

        What is said to a client that has left is lost; it ends an application that goes on talking.
        """
        call = self._calls.get(port)
        if call is None:
            return
        if message["type"] == "http.response.debug":
            call.debug = message.get("info")
        elif call.accepted:
            if call.left is not None and message["type"] == "websocket.send":
                call.left()
        else:
            call.refusal = message

    def ended(self, port: int, /) -> None:
        """Let the client go on."""
        call = self._calls.get(port)
        if call is not None:
            call.over.set()
