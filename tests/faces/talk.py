"""Conversations over WebSockets, held with an application's ASGI face and with its compiled routes.

Both run on the engine, which is compared with uvicorn in tests/websocket: so what differs is what was compiled.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from tests.conftest import eventually
from tests.websocket.peer import Peer, close, frame, handshake, opened
from turboapi import Server

from .trace import Trace, where

__all__ = ["READ", "REST", "Faces", "Noted", "Talk", "say", "where"]

# Steps of a script that read: one frame, or all to the end of the connection.
READ, REST = object(), object()


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation: a handshake, and what the client does then (frames to send, READ, REST, or a call)."""

    target: str
    steps: Sequence[Any] = (REST,)
    fields: Any = ()


def say(*texts: str) -> list[Any]:
    """Return steps: each text is sent, and one frame read."""
    return [step for text in texts for step in (frame("text", text), READ)]


class Noted(logging.Handler):
    """What the server's log was told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.lines.append(f"{record.getMessage().strip()} {record.exc_info[1]!r}")


class Faces:
    """One application on one transport, compiled or not, and what it did."""

    def __init__(self, factory: Callable[[Trace], Any], transport: str, *, compiled: bool) -> None:
        self.trace, self.noted = Trace(), Noted()
        self.app = factory(self.trace)
        self._server = Server(self.app if compiled else _bare(self.app), port=0, transport=transport, timeout_stop=10.0)

    def __enter__(self) -> Self:
        logging.getLogger("turboapi.error").addHandler(self.noted)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        logging.getLogger("turboapi.error").removeHandler(self.noted)

    @property
    def fallbacks(self) -> int:
        """How many requests and conversations the application itself has answered."""
        return int(self._server.stats()["fallbacks"])

    def hold(self, talk: Talk) -> list[Any]:
        """Hold a conversation to its end on both sides; return what the client got, the trace and the log."""
        seen: list[Any] = []
        notes, lines = len(self.trace.notes()), len(self.noted.lines)
        with opened(self._server.port) as peer:
            peer.send(handshake(talk.target, **dict(talk.fields)))
            status, fields = peer.head()
            seen.append((status, {name: value for name, value in fields.items() if name not in _VARYING}))
            if status != 101:
                seen.append(peer.rest())
            else:
                seen += [_done(peer, step) for step in talk.steps]
        eventually(lambda: self._server.stats()["in_flight"] == 0, lambda: repr((talk, seen, self.trace.notes())))
        return [*seen, self.trace.notes()[notes:], self.noted.lines[lines:]]

    @contextmanager
    def opened(self, target: str) -> Iterator[Peer]:
        """Give a peer that has sent its handshake."""
        with opened(self._server.port) as peer:
            peer.send(handshake(target))
            yield peer
        eventually(lambda: self._server.stats()["in_flight"] == 0)


_VARYING = ("date",)


def _done(peer: Peer, step: Any) -> Any:
    if step is READ:
        return peer.frame()
    if step is REST:
        return _rest(peer)
    if callable(step):
        return step(peer)
    peer.send(step)
    return None


def _rest(peer: Peer) -> list[Any]:
    """Read to the end of the connection; a Close is answered, as clients do."""
    found = []
    while (got := peer.frame())[0] != "end":
        found.append(got)
        if got[0] == "close":
            with contextlib.suppress(OSError):
                peer.send(close())
    return found


def _bare(app: Any) -> Any:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return asgi
