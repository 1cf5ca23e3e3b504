"""What hostile clients send to compiled WebSocket routes: they get a close code, and nothing of them stays."""

from __future__ import annotations

import contextlib
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI, WebSocket

from tests.conftest import TRANSPORTS, eventually
from tests.websocket.peer import KEY, Peer, close, frame, handshake, opened
from turboapi import Server

MEGABYTE = 1 << 20
LIMIT = 4 * MEGABYTE


class Door:
    """An application whose dependency counts who is inside."""

    def __init__(self) -> None:
        self.inside = self.came = 0
        self.app = FastAPI(openapi_url=None)

        async def counted() -> Any:
            self.inside += 1
            self.came += 1
            try:
                yield
            finally:
                self.inside -= 1

        @self.app.websocket("/echo", dependencies=[Depends(counted)])
        async def echo(websocket: WebSocket) -> None:
            await websocket.accept()
            async for text in websocket.iter_text():
                await websocket.send_text(text[:100])

        @self.app.websocket("/talks", dependencies=[Depends(counted)])
        async def talks(websocket: WebSocket) -> None:
            await websocket.accept()
            while True:
                await websocket.send_bytes(bytes(MEGABYTE))

        @self.app.websocket("/deaf", dependencies=[Depends(counted)])
        async def deaf(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.receive_text()
            await _gone(websocket)

    def empty(self) -> bool:
        return self.inside == 0


async def _gone(websocket: WebSocket) -> None:
    """Wait for the disconnect, and for nothing else."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


@pytest.fixture(params=TRANSPORTS, scope="module")
def held(request: pytest.FixtureRequest) -> Iterator[tuple[Door, Server]]:
    door = Door()
    with Server(door.app, port=0, transport=request.param, ws_max_size=LIMIT, timeout_write=2.0) as server:
        yield door, server
        assert server.stats()["fallbacks"] == 0


def rss() -> int:
    """Return the memory of this process, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> list[str]:
    """Return what is open: sockets, pipes and files. Go's own poller comes with its first use, and stays."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(name for name in found if not name.startswith("anon_inode:"))


@pytest.fixture(autouse=True)
def _nothing_stays(held: tuple[Door, Server]) -> Iterator[None]:
    """Files, threads and conversations are as many after a test as before; conftest counts exchanges and bytes."""
    door, server = held
    with opened(server.port, "/echo") as peer:  # what is made once is there
        peer.send(close())
        peer.rest()
    eventually(lambda: server.stats()["active"] == 0)
    files, threads = open_files(), threading.active_count()
    yield
    eventually(lambda: server.stats()["active"] == 0, lambda: str(server.stats()))
    eventually(door.empty, lambda: f"{door.inside} are inside")
    eventually(lambda: len(open_files()) <= len(files), lambda: f"{files} before, {open_files()} now")
    eventually(lambda: threading.active_count() <= threads)


def packed(size: int) -> bytes:
    """Return a compressed message of zeros: a thousandth of its size."""
    deflate = zlib.compressobj(wbits=-15)
    parts = [deflate.compress(bytes(MEGABYTE)) for _ in range(size // MEGABYTE)]
    return (b"".join(parts) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_bombs_take_no_more_than_a_message_may(held: tuple[Door, Server]) -> None:
    _, server = held
    bomb = packed(128 * MEGABYTE)
    assert len(bomb) < LIMIT / 2
    before = rss()
    for cuts in (1, 7):
        with opened(server.port) as peer:
            peer.upgrade("/echo", sec_websocket_extensions="permessage-deflate")
            step = len(bomb) // cuts + 1
            parts = [bomb[at : at + step] for at in range(0, len(bomb), step)]
            for i, part in enumerate(parts):
                peer.send(frame("bytes" if i == 0 else "more", part, fin=i == cuts - 1, rsv=0 if i else 4))
            assert peer.frame() == ("close", (1009, "message too big"))
            assert peer.frames() == []
    assert rss() - before < 16 * LIMIT


def test_stream_that_never_ends_a_message(held: tuple[Door, Server]) -> None:
    """Fragments without an end: refused as soon as they are more than a message may be."""
    _, server = held
    with opened(server.port, "/echo") as peer, contextlib.suppress(ConnectionError):
        peer.send(frame("text", b"x" * 1000, fin=False))
        for _ in range(2 * LIMIT // 1000):
            peer.send(frame("more", b"x" * 1000, fin=False))
        assert peer.frame() == ("close", (1009, "message too big"))


def test_empty_fragments_for_ever(held: tuple[Door, Server]) -> None:
    _, server = held
    before = rss()
    with opened(server.port, "/echo") as peer:
        peer.send(frame("text", b"a", fin=False))
        for _ in range(50):
            peer.send(frame("more", fin=False) * 2000)
        peer.send(frame("more", b"b"))
        assert peer.frame() == ("text", "ab")
        peer.send(close())
        peer.rest()
    assert rss() - before < 16 * MEGABYTE


def test_pings_of_a_client_that_does_not_read(held: tuple[Door, Server]) -> None:
    """Pongs are due for each, so the client is read no further; then it takes nothing for `timeout_write`."""
    _, server = held
    before = rss()
    with opened(server.port, "/echo") as peer:
        flood = frame("ping", b"p" * 125) * 500
        peer.socket.settimeout(1)
        with pytest.raises(OSError):  # it is stopped, or cut off
            push(peer, flood)
    assert rss() - before < 32 * MEGABYTE


def push(peer: Peer, part: bytes) -> None:
    for _ in range(10_000):
        peer.send(part)


def test_slow_reader_is_let_go(held: tuple[Door, Server]) -> None:
    door, server = held
    before = rss()
    with opened(server.port, "/talks") as peer:
        peer._take(1000)
        eventually(door.empty)
        assert rss() - before < 32 * MEGABYTE


EARLY: dict[str, Callable[[Any], Any]] = {
    "in the handshake": lambda peer: peer.send(handshake("/echo")[:60]),
    "with the handshake": lambda peer: peer.send(handshake("/echo")),
    "with a message": lambda peer: peer.send(handshake("/echo"), frame("text", "a")),
    "with half a message": lambda peer: peer.send(handshake("/echo"), frame("text", "a" * 100)[:50]),
    "in a fragment": lambda peer: (peer.upgrade("/echo"), peer.send(frame("text", "a", fin=False))),
    "in a header": lambda peer: (peer.upgrade("/echo"), peer.send(b"\x81\xff\0")),
    "while it is sent to": lambda peer: (peer.upgrade("/talks"), peer._take(10)),
    "while it is not heard": lambda peer: (peer.upgrade("/deaf"), peer.send(frame("text", "a") * 100)),
    "with its close": lambda peer: (peer.upgrade("/echo"), peer.send(close())),
    "with half a close": lambda peer: (peer.upgrade("/echo"), peer.send(close(1000, "bye")[:5])),
    "compressed": lambda peer: (
        peer.upgrade("/echo", sec_websocket_extensions="permessage-deflate"),
        peer.send(frame("bytes", packed(2 * MEGABYTE)[:500], fin=False, rsv=4)),
    ),
}


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("when", EARLY)
def test_early_close(held: tuple[Door, Server], when: str, reset: bool) -> None:
    _, server = held

    def accepted() -> int:
        stats = server.stats()
        return int(stats["accepted"]) + int(stats["accept_errors"])

    before = accepted()
    for _ in range(5):
        with opened(server.port) as peer:
            EARLY[when](peer)
            if reset:
                peer.reset()
    # Before they are, nothing is there that could stay.
    eventually(lambda: accepted() == before + 5)


def test_handshakes_that_are_none(held: tuple[Door, Server]) -> None:
    door, server = held
    came = door.came
    for fields, status in (
        ({"sec_websocket_key": None}, 400),
        ({"sec_websocket_key": KEY[:-2]}, 400),
        ({"sec_websocket_version": "12"}, 426),
    ):
        with opened(server.port) as peer:
            peer.send(handshake("/echo", **fields))
            assert peer.head()[0] == status
    assert door.came == came
