"""The same conversations with uvicorn and with the engine: what the application and the client see is the same."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from fastapi import Depends, FastAPI, Query, WebSocket, WebSocketDisconnect, WebSocketException

from tests.conftest import PATIENCE, TRANSPORTS, eventually
from tests.websocket.apps import App, Recorder, echo
from tests.websocket.peer import Peer, close, frame, handshake, opened
from turboapi import Server

Script = Callable[[Peer], Any]


@contextlib.contextmanager
def on_uvicorn(app: Any, **settings: Any) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, ws="websockets-sansio", log_config=None, access_log=False, **settings)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        listener.close()


@contextlib.contextmanager
def on_engine(app: Any, transport: str, **settings: Any) -> Iterator[int]:
    with Server(app, port=0, transport=transport, timeout_stop=5.0, **settings) as server:
        yield server.port


def held(serving: Any, recorder: Recorder, script: Script) -> tuple[Any, Any]:
    """Hold a conversation: what the client made of it, and what the application wrote down."""
    with serving as port:
        with opened(port) as peer:
            seen = script(peer)
        eventually(lambda: recorder.ended == 1, lambda: repr(recorder.log))
    return seen, recorder.log


def same(app: App, script: Script, **settings: Any) -> tuple[Any, Any]:
    """Compare uvicorn with each transport; return what was seen and written down."""
    recorder = Recorder(app)
    want = held(on_uvicorn(recorder, **settings), recorder, script)
    for transport in TRANSPORTS:
        recorder = Recorder(app)
        assert held(on_engine(recorder, transport, **settings), recorder, script) == want, transport
    return want


def said(*parts: bytes, answers: int = 0, end: bytes = b"", target: str = "/") -> Script:
    """Shake hands, say this, read so many answers, say the end, and read what is left."""

    def script(peer: Peer) -> Any:
        peer.upgrade(target)
        peer.send(b"".join(parts))
        seen = [peer.frame() for _ in range(answers)]
        peer.send(end)
        return seen + peer.frames()

    return script


ECHOES: dict[str, tuple[list[bytes], list[Any]]] = {
    "text": ([frame("text", "héllo")], [("text", "héllo")]),
    "bytes": ([frame("bytes", b"\xff\x00")], [("bytes", b"\xff\x00")]),
    "empty": ([frame("text"), frame("bytes")], [("text", ""), ("bytes", b"")]),
    "126 bytes": ([frame("text", "x" * 126)], [("text", "x" * 126)]),
    "64 KB": ([frame("bytes", b"x" * 65536)], [("bytes", b"x" * 65536)]),
    "3 MB": ([frame("bytes", b"x" * 3_000_000)], [("bytes", b"x" * 3_000_000)]),
    "many": ([frame("text", str(i)) for i in range(300)], [("text", str(i)) for i in range(300)]),
    "fragments": (
        [frame("text", "a", fin=False), frame("more", "b", fin=False), frame("more", "c")],
        [("text", "abc")],
    ),
    "a character in two": (
        [frame("text", "é".encode()[:1], fin=False), frame("more", "é".encode()[1:])],
        [("text", "é")],
    ),
    "unasked pong": ([frame("pong", b"x"), frame("text", "a")], [("text", "a")]),
}


@pytest.mark.parametrize("name", ECHOES)
def test_messages_come_and_go(name: str) -> None:
    parts, answers = ECHOES[name]
    # What comes in one piece with the Close has no answer any more.
    seen, _ = same(echo, said(*parts, answers=len(answers), end=close(1000, "bye")))
    assert seen == [*answers, ("close", (1000, "bye"))]


def test_pings_are_answered_in_order() -> None:
    seen, _ = same(echo, said(frame("ping", b"1"), frame("ping", b""), end=close()))
    assert seen == [("pong", b"1"), ("pong", b""), ("close", (1000, ""))]


@pytest.mark.parametrize("code", [None, 1000, 1001, 1003, 1008, 1011, 1012, 1014, 3000, 4999])
def test_application_gets_the_client_s_close_code(code: int | None) -> None:
    _, log = same(echo, said(end=close(code, "" if code is None else "why")))
    told = {"code": 1005, "reason": ""} if code is None else {"code": code, "reason": "why"}
    assert log[-1] == ("receive", {"type": "websocket.disconnect", **told})


async def closing(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "last"})
    await send({"type": "websocket.close", "code": 4004, "reason": "not there"})
    await receive()
    with contextlib.suppress(RuntimeError):
        await send({"type": "websocket.send", "text": "late"})
    with contextlib.suppress(RuntimeError):
        await send({"type": "websocket.close"})


def test_application_closes() -> None:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        seen = [peer.frame(), peer.frame()]
        peer.send(close(4004, "not there"))
        return seen, peer.rest()

    seen, log = same(closing, script)
    assert seen == ([("text", "last"), ("close", (4004, "not there"))], b"")
    assert log[-2:] == [("raised", "websocket.send", "RuntimeError"), ("raised", "websocket.close", "RuntimeError")]


async def wrong(scope: Any, receive: Any, send: Any) -> None:
    """Say everything at the wrong time."""

    async def tried(message: dict[str, Any]) -> None:
        with contextlib.suppress(RuntimeError):
            await send(message)

    await receive()
    await tried({"type": "websocket.send", "text": "early"})
    await tried({"type": "http.response.start", "status": 200})
    await tried({"type": "websocket.http.response.body"})
    await send({"type": "websocket.accept"})
    await tried({"type": "websocket.accept"})
    await tried({"type": "websocket.http.response.start", "status": 200})
    await send({"type": "websocket.send", "bytes": None, "text": "text"})
    await send({"type": "websocket.send", "bytes": b"bytes", "text": "text"})
    await send({"type": "websocket.send"})
    await send({"type": "websocket.close"})


def test_messages_at_the_wrong_time() -> None:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        seen = [peer.frame() for _ in range(3)]
        peer.send(close())
        return seen

    seen, _ = same(wrong, script)
    assert seen == [("text", "text"), ("bytes", b"bytes"), ("close", (1000, ""))]


def handshake_only(peer: Peer) -> Any:
    peer.send(handshake(sec_websocket_protocol="a, b"))
    status, fields = peer.head()
    kept = ("sec-websocket-protocol", "sec-websocket-accept", "x-own", "content-type", "connection")
    told = {name: fields.get(name, "").lower() for name in kept}
    return status, told, peer.rest() if status != 101 else b""


def test_accept_with_subprotocol_and_headers() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert scope["subprotocols"] == ["a", "b"]
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": [(b"X-Own", b"1")]})
        await send({"type": "websocket.close"})

    seen, _ = same(app, handshake_only)
    assert seen[:2] == (
        101,
        {
            "sec-websocket-protocol": "b",
            "sec-websocket-accept": "s3pplmbitxaq9kygzzhzrbk+xoo=",
            "x-own": "1",
            "content-type": "",
            "connection": "upgrade",
        },
    )


def test_close_before_accept_is_403() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4000})
        await receive()

    seen, log = same(app, handshake_only)
    assert (seen[0], seen[2]) == (403, b"")
    assert log[-1] == ("receive", {"type": "websocket.disconnect", "code": 1006, "reason": ""})


def test_denial_by_a_response() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["extensions"] == {"websocket.http.response": {}}
        await receive()
        headers = [(b"x-own", b"2"), (b"content-length", b"6"), (b"content-type", b"text/x")]
        await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"go ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"out"})
        await receive()
        with contextlib.suppress(RuntimeError):
            await send({"type": "websocket.accept"})

    seen, _ = same(app, handshake_only)
    assert (seen[0], seen[1]["x-own"], seen[1]["content-type"], seen[2]) == (401, "2", "text/x", b"go out")


def test_exception_before_accept_is_500() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise LookupError("nobody")

    seen, _ = same(app, handshake_only)
    assert (seen[0], seen[2]) == (500, b"Internal Server Error")


def application(log: list[Any]) -> FastAPI:
    app = FastAPI()

    async def around() -> Any:
        log.append("enter")
        try:
            yield "value"
        finally:
            log.append("exit")

    def number(n: int = Query(ge=1)) -> int:
        return n

    @app.websocket("/echo/{name}")
    async def echo_route(
        websocket: WebSocket, name: str, n: int = Depends(number), value: str = Depends(around)
    ) -> None:
        await websocket.accept()
        await websocket.send_json([name, n, value])
        try:
            async for text in websocket.iter_text():
                await websocket.send_text(text * n)
        finally:
            log.append("left")

    @app.websocket("/policy")
    async def policy(websocket: WebSocket) -> None:
        await websocket.accept()
        raise WebSocketException(4321, "policy")

    @app.websocket("/early")
    async def early(websocket: WebSocket) -> None:
        raise WebSocketException(4321, "policy")

    @app.websocket("/bytes")
    async def bytes_route(websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="b")
        try:
            while True:
                await websocket.send_bytes(await websocket.receive_bytes())
        except WebSocketDisconnect as gone:
            log.append((gone.code, gone.reason))

    return app


@pytest.mark.parametrize(
    ("target", "parts", "answers", "end"),
    [
        ("/echo/x?n=3", [frame("text", "ab"), frame("text", "")], 3, close(4000, "enough")),
        ("/policy", [], 1, close(4321, "policy")),
        ("/bytes", [frame("bytes", b"a")], 1, close(None)),
    ],
)
def test_fastapi_routes(target: str, parts: list[bytes], answers: int, end: bytes) -> None:
    script = said(*parts, answers=answers, end=end, target=target)
    logs: list[list[Any]] = []
    seen: list[Any] = []
    for face in ("uvicorn", *TRANSPORTS):
        logs.append([])
        recorder = Recorder(application(logs[-1]))
        serving = on_uvicorn(recorder) if face == "uvicorn" else on_engine(recorder, face)
        seen.append(held(serving, recorder, script))
    assert seen[1:] == seen[:1] * len(TRANSPORTS)
    assert logs[1:] == logs[:1] * len(TRANSPORTS)


@pytest.mark.parametrize("target", ["/early", "/echo/x?n=0", "/echo/x", "/nowhere"])
def test_fastapi_denies(target: str) -> None:
    def script(peer: Peer) -> Any:
        peer.send(handshake(target))
        return peer.head()[0], peer.rest()

    seen = []
    for face in ("uvicorn", *TRANSPORTS):
        log: list[Any] = []
        recorder = Recorder(application(log))
        serving = on_uvicorn(recorder) if face == "uvicorn" else on_engine(recorder, face)
        seen.append((*held(serving, recorder, script), log))
    assert seen[1:] == seen[:1] * len(TRANSPORTS)
    assert seen[0][0] == (403, b"")
