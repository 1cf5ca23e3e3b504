"""Many conversations, slow sides, and what is left of it all."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import eventually
from tests.websocket.apps import Recorder, echo
from tests.websocket.peer import Peer, close, frame, handshake, opened
from turboapi import Server

Serve = Callable[..., Server]


def test_send_waits_for_a_client_that_does_not_read(serve: Serve, transport: str) -> None:
    sent = [0]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(500):
            await send({"type": "websocket.send", "bytes": b"x" * 100_000})
            sent[0] += 1
        await send({"type": "websocket.close"})

    recorder = Recorder(app)
    server = serve(recorder, transport=transport)
    with opened(server.port, "/") as peer:
        last = -1

        def stands() -> bool:
            nonlocal last
            before, last = last, sent[0]
            return before == last > 0

        eventually(stands)
        assert sent[0] < 500, "50 MB were taken in for a client that reads nothing"
        assert sum(len(peer.frame()[1]) for _ in range(500)) == 50_000_000
        assert peer.frame() == ("close", (1000, ""))
        peer.send(close())
        peer.rest()
    eventually(lambda: recorder.ended == 1)


def test_send_that_waits_ends_with_its_client(serve: Serve, transport: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with contextlib.suppress(OSError):
            while True:
                await send({"type": "websocket.send", "bytes": b"x" * 100_000})

    recorder = Recorder(app)
    with opened(serve(recorder, transport=transport).port, "/") as peer:
        peer.frame()
        peer.reset()
    eventually(lambda: recorder.ended == 1)


def test_application_that_does_not_receive_stops_its_client(serve: Serve, transport: str) -> None:
    go = threading.Event()
    got: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while not go.is_set():
            await asyncio.sleep(0.001)
        while (message := await receive())["type"] == "websocket.receive":
            got.append(len(message["bytes"]))

    recorder = Recorder(app)
    with opened(serve(recorder, transport=transport).port, "/") as peer:
        stopped = threading.Event()

        def push() -> None:
            message = frame("bytes", b"x" * 60_000)
            for _ in range(600):
                peer.send(message)
            peer.send(close())
            stopped.set()

        thread = threading.Thread(target=push)
        thread.start()
        assert not stopped.wait(0.2), "36 MB were taken in for an application that receives nothing"
        go.set()
        assert peer.frames() == [("close", (1000, ""))]
        thread.join()
    eventually(lambda: recorder.ended == 1)
    assert got == [60_000] * 600


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def left(server: Server) -> tuple[int, ...]:
    stats = server.stats()
    return stats["active"], stats["in_flight"]


@pytest.mark.parametrize("stage", ["connect", "half a head", "handshake", "accepted", "half a frame", "close", "done"])
def test_client_gone_at_every_stage(serve: Serve, transport: str, stage: str) -> None:
    recorder = Recorder(echo)
    server = serve(recorder, transport=transport)
    before, threads = descriptors(), threading.active_count()
    for _ in range(20):
        with opened(server.port) as peer:
            leave(peer, stage)
    eventually(lambda: left(server) == (0, 0), lambda: repr(server.stats()))
    del peer
    gc.collect()
    eventually(lambda: descriptors() <= before, lambda: f"{before} descriptors before, {descriptors()} after")
    assert threading.active_count() == threads


def leave(peer: Peer, stage: str) -> None:
    steps: dict[str, Callable[[], object]] = {
        "connect": lambda: None,
        "half a head": lambda: peer.send(handshake()[:40]),
        "handshake": lambda: peer.send(handshake()[40:]),
        "accepted": peer.head,
        "half a frame": lambda: peer.send(frame("text", "a"), frame("bytes", b"x" * 70_000)[:500]),
        "close": lambda: peer.send(frame("bytes", b"x" * 70_000)[500:], close()),
        "done": peer.rest,
    }
    for name, step in steps.items():
        step()
        if name == stage:
            break
    peer.reset()


def test_a_thousand_conversations(serve: Serve, transport: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = 1000
    if hard != resource.RLIM_INFINITY and hard < 2 * number + 200:
        number = (hard - 200) // 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * number + 500)) if hard > 0 else soft, hard))
    recorder = Recorder(echo)
    server = serve(recorder, transport=transport)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(opened(server.port, "/")) for _ in range(number)]
        for round_ in range(3):
            for i, peer in enumerate(peers):
                peer.send(frame("text", f"{round_} {i}"))
            for i, peer in enumerate(peers):
                assert peer.frame() == ("text", f"{round_} {i}")
        assert server.stats()["in_flight"] == number
        for peer in peers:
            peer.send(close())
        for peer in peers:
            assert peer.frames() == [("close", (1000, ""))]
    eventually(lambda: recorder.ended == number)
    eventually(lambda: left(server) == (0, 0), lambda: repr(server.stats()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
