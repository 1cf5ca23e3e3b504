"""Conversations made by hypothesis, compressed and not: whatever comes in whatever pieces, the answer is the same."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import TRANSPORTS
from tests.faces.generate import always_these
from tests.websocket.apps import Recorder, echo
from tests.websocket.peer import Peer, close, frame, opened
from turboapi import Server

MOST = 2000

texts = st.text(max_size=300).map(lambda text: ("text", text.encode()))
binaries = st.binary(max_size=300).map(lambda data: ("bytes", data))
large = st.integers(60_000, 70_000).map(lambda n: ("bytes", b"x" * n))
controls = st.tuples(st.sampled_from(["ping", "pong"]), st.binary(max_size=125))
bad = st.sampled_from(
    [
        (1002, b"\x81\x01a"),
        (1002, frame("text", b"a", rsv=2)),
        (1002, frame("close", b"\x00")),
        (1007, frame("text", b"\xff\xfe")),
        (1009, frame("bytes", b"x" * 100_001)),
    ]
)


@st.composite
def conversation(draw: Any) -> tuple[list[bytes], list[tuple[str, Any]]]:
    """Frames, and what has to come back."""
    frames: list[bytes] = []
    answers: list[tuple[str, Any]] = []
    for kind, data in draw(st.lists(st.one_of(texts, binaries, large), max_size=8)):
        cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
        parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        for i, part in enumerate(parts):
            frames.append(frame(kind if i == 0 else "more", part, fin=i == len(parts) - 1))
            for control, payload in draw(st.lists(controls, max_size=1)):
                frames.append(frame(control, payload))
                if control == "ping":
                    answers.append(("pong", payload))
        answers.append((kind, data.decode() if kind == "text" else data))
    return frames, answers


ends = st.one_of(st.just((1000, close(1000, "bye"))), bad)


@pytest.fixture(params=TRANSPORTS, scope="module")
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with Server(Recorder(echo), port=0, transport=request.param, ws_max_size=100_000) as server:
        yield server.port


def sorted_by_kind(frames: list[tuple[str, Any]]) -> list[Any]:
    """Pongs overtake the application's messages; each kind keeps its order."""
    return [[f for f in frames if f[0] == "pong"], [f for f in frames if f[0] != "pong"]]


@always_these(40)
@given(said=conversation(), end=ends, cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_any_conversation(port: int, said: Any, end: tuple[int, bytes], cuts: list[int]) -> None:
    frames, answers = said
    code, last = end
    stream = b"".join(frames)
    with opened(port, "/") as peer:
        at = 0
        for cut in sorted(cuts):
            peer.send(stream[at : max(at, cut)])
            at = max(at, cut)
        peer.send(stream[at:])
        got = [peer.frame() for _ in answers]
        assert sorted_by_kind(got) == sorted_by_kind(answers)
        peer.send(last)
        kind, told = peer.frame()
        assert (kind, told[0]) == ("close", code)
        assert peer.frames() == []


@always_these(60)
@given(noise=st.binary(max_size=200))
def test_any_bytes(port: int, noise: bytes) -> None:
    with opened(port, "/") as peer:
        peer.send(noise, b"\x88\x00")  # not masked: a protocol error wherever a header may begin
        peer.socket.shutdown(1)
        for kind, data in peer.frames():
            assert kind in ("text", "bytes", "pong", "close")
            if kind == "close":
                assert data[0] in (1002, 1007, 1009) or noise


def packed(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return (deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


def unpacked(peer: Peer) -> bytes:
    """Read one frame that may be compressed; the test's peer does not know the bit, so it is read by hand."""
    first, second = peer._take(2)
    length = second & 127
    if length > 125:
        length = int.from_bytes(peer._take(2 if length == 126 else 8), "big")
    payload = peer._take(length)
    return zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff") if first & 0x40 else payload


@always_these(20)
@given(
    messages=st.lists(st.one_of(st.binary(max_size=500), st.integers(0, 90_000).map(bytes)), max_size=5),
    cut=st.integers(0, 50),
)
def test_compressed_messages(port: int, messages: list[bytes], cut: int) -> None:
    with opened(port) as peer:
        fields = peer.upgrade(sec_websocket_extensions="permessage-deflate; client_max_window_bits")
        assert fields["sec-websocket-extensions"].startswith("permessage-deflate")
        for message in messages:
            small = packed(message)
            peer.send(frame("bytes", small[:cut], fin=False, rsv=4), frame("more", small[cut:]))
            assert unpacked(peer) == message


@pytest.mark.parametrize("size", [100_001, 50_000_000])
def test_compressed_bomb_is_1009(port: int, size: int) -> None:
    with opened(port) as peer:
        peer.upgrade(sec_websocket_extensions="permessage-deflate")
        peer.send(frame("bytes", packed(bytes(size)), rsv=4))
        assert peer.frame() == ("close", (1009, "message too big"))
        assert peer.frames() == []


def test_compression_can_be_switched_off(transport: str) -> None:
    with (
        Server(Recorder(echo), port=0, transport=transport, ws_per_message_deflate=False) as server,
        opened(server.port) as peer,
    ):
        assert "sec-websocket-extensions" not in peer.upgrade(sec_websocket_extensions="permessage-deflate")
        peer.send(frame("bytes", packed(b"x"), rsv=4))
        assert peer.frame()[1][0] == 1002
