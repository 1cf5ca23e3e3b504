"""How conversations end: by either side, by a broken rule, by silence, by an exception, and with the server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import eventually
from tests.websocket.apps import Recorder, disconnected, echo
from tests.websocket.peer import close, frame, handshake, opened
from turboapi import Server

Serve = Callable[..., Server]


def accepting(ends: list[Any]) -> Any:
    """An application that accepts, waits for the end, and writes it down."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        ends.append(await disconnected(receive))
        ends.append(await receive())  # and so it stays
        with pytest.raises(OSError):
            await send({"type": "websocket.send", "text": "late"})

    return app


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        (1002, [b"\x81\x01a"]),
        (1002, [frame("text", "a", rsv=4)]),
        (1002, [frame("more", "a")]),
        (1002, [frame("text", "a", fin=False), frame("text", "b")]),
        (1002, [frame("ping", b"x", fin=False)]),
        (1002, [frame("close", b"x")]),
        (1002, [close(1005)]),
        (1007, [frame("text", b"\xff")]),
        (1007, [frame("text", b"a\xc3", fin=False), frame("more", b"b")]),
        (1009, [frame("text", "x" * 1001)]),
        (1009, [frame("text", "x" * 600, fin=False), frame("more", "x" * 401)]),
    ],
)
def test_broken_rules_have_their_codes(serve: Serve, transport: str, code: int, parts: list[bytes]) -> None:
    ends: list[Any] = []
    recorder = Recorder(accepting(ends))
    server = serve(recorder, transport=transport, ws_max_size=1000)
    with opened(server.port, "/") as peer:
        peer.send(b"".join(parts))
        kind, (told, reason) = peer.frame()
        assert (kind, told) == ("close", code)
        assert peer.frame() == ("end", None)
    eventually(lambda: recorder.ended == 1)
    assert ends == [{"type": "websocket.disconnect", "code": code, "reason": reason}] * 2


@pytest.mark.parametrize("how", ["reset", "fin"])
def test_abrupt_end_is_1006(serve: Serve, transport: str, how: str) -> None:
    ends: list[Any] = []
    recorder = Recorder(accepting(ends))
    server = serve(recorder, transport=transport)
    with opened(server.port, "/") as peer:
        if how == "reset":
            peer.reset()
        else:
            peer.socket.shutdown(socket.SHUT_WR)
            assert peer.frames() == []
    eventually(lambda: recorder.ended == 1)
    assert ends == [{"type": "websocket.disconnect", "code": 1006}] * 2


def test_client_that_leaves_before_the_answer(serve: Serve, transport: str) -> None:
    ends: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        ends.append(await receive())
        with pytest.raises(OSError):
            await send({"type": "websocket.accept"})

    recorder = Recorder(app)
    server = serve(recorder, transport=transport)
    with opened(server.port) as peer:
        peer.send(handshake())
        eventually(lambda: len(recorder.log) == 1)
        peer.reset()
    eventually(lambda: recorder.ended == 1)
    assert ends == [{"type": "websocket.disconnect", "code": 1006}]


@pytest.mark.parametrize("raising", [True, False])
def test_end_of_the_application_closes(
    serve: Serve, transport: str, raising: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "last"})
        if raising:
            raise LookupError("nobody")

    server = serve(Recorder(app), transport=transport)
    with opened(server.port, "/") as peer:
        assert peer.frame() == ("text", "last")
        assert peer.frame() == ("close", (1011 if raising else 1000, ""))
        peer.send(close(1011 if raising else 1000))
        assert peer.frames() == []
    text = caplog.text
    assert ("LookupError: nobody" in text and "Exception in ASGI application: GET /" in text) == raising


def test_client_s_departure_is_no_error_of_the_application(
    serve: Serve, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await disconnected(receive)
        await send({"type": "websocket.send", "text": "late"})

    recorder = Recorder(app)
    with opened(serve(recorder, transport=transport).port, "/") as peer:
        peer.send(close())
        assert peer.frames() == [("close", (1000, ""))]
    eventually(lambda: recorder.ended == 1)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_returning_without_an_answer_is_500(serve: Serve, transport: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    with opened(serve(Recorder(app), transport=transport).port) as peer:
        peer.send(handshake())
        assert peer.head()[0] == 500
        peer.rest()
    assert "ASGI callable returned without completing handshake." in caplog.text


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
def test_codes_that_may_not_be_sent(serve: Serve, transport: str, code: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with pytest.raises(ValueError, match=str(code)):
            await send({"type": "websocket.close", "code": code})
        with pytest.raises(ValueError, match="123 bytes"):
            await send({"type": "websocket.close", "reason": "é" * 62})
        await send({"type": "websocket.close", "reason": "é" * 61})

    with opened(serve(Recorder(app), transport=transport).port, "/") as peer:
        assert peer.frame() == ("close", (1000, "é" * 61))
        peer.send(close())
        assert peer.frames() == []


def test_client_that_does_not_answer_pings_is_let_go(serve: Serve, transport: str) -> None:
    ends: list[Any] = []
    recorder = Recorder(accepting(ends))
    server = serve(recorder, transport=transport, ws_ping_interval=0.05, ws_ping_timeout=0.1)
    with opened(server.port, "/") as peer:
        seen = peer.frames()
        assert seen[0] == ("ping", b"")
        assert seen[-1] == ("close", (1011, "keepalive ping timeout"))
    eventually(lambda: recorder.ended == 1)
    assert ends[0] == {"type": "websocket.disconnect", "code": 1006}


def test_idle_client_is_let_go(serve: Serve, transport: str) -> None:
    ends: list[Any] = []
    recorder = Recorder(accepting(ends))
    with opened(serve(recorder, transport=transport, ws_idle_timeout=0.05).port, "/") as peer:
        assert peer.frames() == [("close", (1001, "idle timeout"))]
    eventually(lambda: recorder.ended == 1)
    assert ends[0] == {"type": "websocket.disconnect", "code": 1001, "reason": "idle timeout"}


def test_stopping_server_says_1012(serve: Serve, transport: str) -> None:
    ends: list[Any] = []
    recorder = Recorder(accepting(ends))
    server = serve(recorder, transport=transport)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(opened(server.port, "/")) for _ in range(5)]
        server.stop()
        for peer in peers:
            assert peer.frames() == [("close", (1012, ""))]
    assert recorder.ended == 5
    assert ends[0] == {"type": "websocket.disconnect", "code": 1012, "reason": ""}


def test_stopping_server_ends_an_application_that_does_not_listen(serve: Serve, transport: str) -> None:
    cancelled: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    server = serve(Recorder(app), transport=transport, timeout_stop=0.1)
    with opened(server.port, "/") as peer:
        server.stop()
        assert peer.frames() == [("close", (1012, ""))]
    assert cancelled == [True]


def test_two_tasks_of_one_conversation(serve: Serve, transport: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})

        async def talk() -> None:
            for number in range(100):
                await send({"type": "websocket.send", "text": str(number)})
                await asyncio.sleep(0)

        task = asyncio.create_task(talk())
        await disconnected(receive)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await task

    recorder = Recorder(app)
    with opened(serve(recorder, transport=transport).port, "/") as peer:
        for number in range(100):
            assert peer.frame() == ("text", str(number))
        peer.send(close())
        assert peer.frames() == [("close", (1000, ""))]
    eventually(lambda: recorder.ended == 1)


def test_receive_that_is_cancelled_loses_nothing(serve: Serve, transport: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        message: Any = None
        while message is None or message["type"] != "websocket.disconnect":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.001):
                    message = await receive()
                    if "text" in message:
                        await send({"type": "websocket.send", "text": message["text"]})

    recorder = Recorder(app)
    with opened(serve(recorder, transport=transport).port, "/") as peer:
        for number in range(50):
            peer.send(frame("text", str(number)))
            assert peer.frame() == ("text", str(number))
        peer.send(close())
        peer.rest()
    eventually(lambda: recorder.ended == 1)


def test_echo_outlives_nothing(serve: Serve, transport: str) -> None:
    """A conversation that both sides closed leaves no connection behind, although its server goes on."""
    server = serve(Recorder(echo), transport=transport)
    for _ in range(3):
        with opened(server.port, "/") as peer:
            peer.send(close())
            peer.rest()
    eventually(lambda: server.stats()["active"] == 0, lambda: repr(server.stats()))
