"""WebSocket conversations made by hypothesis: what handler and client do in turn is the same compiled or not."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI, WebSocket, WebSocketException
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import PATIENCE, TRANSPORTS
from tests.websocket.peer import close, frame

from .generate import always_these
from .talk import Faces
from .trace import Trace


class Strings:
    """What a handler is told to do, and what comes of it."""

    def __init__(self) -> None:
        self.told: queue.Queue[tuple[str, tuple[Any, ...]]] = queue.Queue()
        self.done: queue.Queue[str] = queue.Queue()

    def close(self) -> None:
        """Let a handler end that a failed test has left behind."""
        self.told.put(("return", ()))


# Of the conversation that begins.
_next: queue.Queue[Strings] = queue.Queue()

_RAISED = {"value": ValueError("v"), "policy": WebSocketException(1008, "policy"), "return": None}


def puppet(trace: Trace) -> FastAPI:
    """An application whose handler does what it is told, and tells what came of it."""
    app = FastAPI(openapi_url=None)

    async def around() -> Any:
        trace("begins")
        try:
            yield
        finally:
            trace("ends")

    @app.websocket("/", dependencies=[Depends(around)])
    async def handler(websocket: WebSocket) -> None:
        strings = _next.get_nowait()
        while True:
            name, given = await asyncio.to_thread(strings.told.get)
            if name in _RAISED:
                strings.done.put(name)
                if (error := _RAISED[name]) is not None:
                    raise error
                return
            try:
                call = websocket.iter_text().__anext__ if name == "iterate" else getattr(websocket, name)
                outcome = repr(await call(*given))
            except (Exception, StopAsyncIteration) as error:
                outcome = f"{error!r} {getattr(error, 'code', '')} {getattr(error, 'reason', '')}"
            states = f"{websocket.client_state.name} {websocket.application_state.name}"
            trace(name, outcome, states)
            strings.done.put(outcome)

    return app


texts, binaries = st.text(max_size=200), st.binary(max_size=200)
receives = st.sampled_from(["receive_text", "receive_bytes", "receive_json", "receive", "iterate"]).map(
    lambda n: (n, ())
)
sends = st.one_of(
    st.tuples(st.just("send_text"), st.tuples(texts)),
    st.tuples(st.just("send_bytes"), st.tuples(binaries)),
    st.tuples(st.just("send_json"), st.tuples(st.lists(texts, max_size=3), st.sampled_from(["text", "binary", "odd"]))),
    st.tuples(st.just("send_text"), st.tuples(st.sampled_from([b"x", "\ud800"]))),
    st.tuples(st.just("accept"), st.tuples()),
)
closes = st.tuples(st.just("close"), st.tuples(st.sampled_from([1000, 1001, 3000, 4999, 1005, 999]), texts))
client = st.one_of(
    st.tuples(st.just("text"), texts), st.tuples(st.just("bytes"), binaries), st.tuples(st.just("ping"), st.just(b"p"))
)
steps = st.lists(
    st.one_of(receives, sends, client, receives, sends, client, closes, st.just(("leave", ()))), max_size=12
)
ends = st.sampled_from([*_RAISED])


@pytest.fixture(params=TRANSPORTS, scope="module")
def faces(request: pytest.FixtureRequest) -> Iterator[tuple[Faces, Faces]]:
    with Faces(puppet, request.param, compiled=False) as own, Faces(puppet, request.param, compiled=True) as served:
        yield own, served
        assert served.fallbacks == 0
        assert own.fallbacks > 0


@always_these(40)
@given(begins=st.sampled_from(["accept", "close", "receive", "receive_text"]), steps=steps, end=ends)
def test_any_conversation(faces: tuple[Faces, Faces], begins: str, steps: Any, end: str) -> None:
    own, served = faces
    assert _hold(served, begins, steps, end) == _hold(own, begins, steps, end)


def _hold(face: Faces, begins: str, steps: Any, end: str) -> list[Any]:
    """Play the steps in turn; those that would wait for a message that nobody has sent are left out."""
    found: list[Any] = []  # what came of the handler's calls
    frames: list[Any] = []
    pongs: list[Any] = []  # they overtake the application's messages
    before = len(face.trace.notes())

    strings = Strings()
    _next.put(strings)

    def act(name: str, given: tuple[Any, ...] = ()) -> None:
        strings.told.put((name, given))
        found.append(strings.done.get(timeout=PATIENCE / 4))

    with face.opened("/") as peer, contextlib.closing(strings):
        peer.socket.settimeout(5)
        act(begins)
        status = 0
        accepted = begins == "accept"
        if accepted:
            status, _ = peer.head()
            assert status == 101
        waiting, left, closed = 0, False, begins == "close"
        gone = False  # the application has been told that the client has left
        for name, given in steps:
            if name in ("text", "bytes", "ping"):
                if accepted and not left and not closed:
                    peer.send(frame(name, given))
                    waiting += name != "ping"
                    if name == "ping":
                        pongs.append(_until(peer, "pong", frames))
            elif name == "leave":
                if accepted and not left and not closed:
                    peer.send(close(4001, "leaving"))
                    frames.append(_until(peer, "close", frames))
                    left = True
            elif name.startswith("receive") or name == "iterate":
                if waiting or left or closed or (not accepted and name != "receive"):
                    act(name, given)
                    waiting -= bool(waiting)
                    gone = gone or (left and any(word in found[-1] for word in ("isconnect", "StopAsync")))
            elif left and not gone:
                continue  # it may not know yet, and nobody says which is first
            elif name == "accept" or accepted or closed:
                if name == "accept" and not accepted:
                    continue
                act(name, given)
                if name.startswith("send") and found[-1] == "None" and not left and not closed:
                    frames.append(peer.frame())  # what is on its way when a Close comes may be lost
                closed = closed or (name == "close" and found[-1] == "None")
        act(end)
        if not accepted:
            status, _ = peer.head()
            found += [status, peer.rest()]
        else:
            while (got := peer.frame())[0] != "end":
                frames.append(got)
                if got[0] == "close" and not left:
                    left = True
                    peer.send(close())
    return [found, frames, pongs, face.trace.notes()[before:]]


def _until(peer: Any, kind: str, frames: list[Any]) -> Any:
    """Read up to the answer to a control frame; what the application has sent before it is noted."""
    while (got := peer.frame())[0] not in (kind, "close", "end"):
        frames.append(got)
    return got
