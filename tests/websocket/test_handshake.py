"""The upgrade request: what is refused, by whom, and the scope that applications get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import TRANSPORTS, eventually, get
from tests.websocket.apps import Recorder, echo
from tests.websocket.peer import close, frame, handshake, opened
from tests.websocket.test_conversations import on_engine, on_uvicorn
from turboapi import Server

Serve = Callable[..., Server]


@pytest.mark.parametrize(
    ("status", "detail", "fields"),
    [
        (400, "Missing Sec-WebSocket-Key header", {"sec_websocket_key": None}),
        (400, "Invalid Sec-WebSocket-Key header", {"sec_websocket_key": "short"}),
        (400, "Missing Sec-WebSocket-Version header", {"sec_websocket_version": None}),
        (426, "WebSocket version not supported", {"sec_websocket_version": "12"}),
        (400, "Invalid Sec-WebSocket-Protocol header", {"sec_websocket_protocol": "a b"}),
        (400, "Invalid Sec-WebSocket-Extensions header", {"sec_websocket_extensions": ";;"}),
        (400, "A WebSocket handshake has no body", {"content_length": "3"}),
    ],
)
def test_bad_handshakes_are_refused_with_a_reason(
    serve: Serve, transport: str, status: int, detail: str, fields: dict[str, str | None]
) -> None:
    recorder = Recorder(echo)
    server = serve(recorder, transport=transport)
    with opened(server.port) as peer:
        peer.send(handshake(**fields))
        answer = peer.head()
        assert (answer[0], peer.rest().decode()) == (status, f'{{"detail":"{detail}"}}')
        assert answer[1].get("sec-websocket-version") == ("13" if status == 426 else None)
    assert recorder.log == []


@pytest.mark.parametrize("upgrade", ["h2c", "", "xwebsocket"])
def test_get_with_another_upgrade_is_a_request(serve: Serve, transport: str, upgrade: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["type"].encode()})

    server = serve(app, transport=transport, lifespan="off")
    fields = {"upgrade": upgrade, "connection": "upgrade"}
    assert get(server, headers=fields).data == b"http"  # type: ignore[attr-defined]


def test_http_answer_on_a_websocket_scope_is_500(serve: Serve, transport: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    server = serve(app, transport=transport, lifespan="off")
    with opened(server.port) as peer:
        peer.send(handshake())
        assert peer.head()[0] == 500
        assert peer.rest() == b"Internal Server Error"


def test_accept_with_headers_that_cannot_be_sent_is_500(serve: Serve, transport: str) -> None:
    ended: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", "headers": [(b"x", b"a\r\nb: c")]})
        ended.append(await receive())

    server = serve(app, transport=transport, lifespan="off")
    with opened(server.port) as peer:
        peer.send(handshake())
        assert peer.head()[0] == 500
        peer.rest()
    eventually(lambda: ended == [{"type": "websocket.disconnect", "code": 1006}], lambda: repr(ended))


@pytest.mark.parametrize("fields", [{}, {"sec_websocket_protocol": "chat, v2.chat"}, {"x_latin": "\xe9"}])
@pytest.mark.parametrize("target", ["/", "/a%20b/%C3%A9?q=%20&q", "/x//y?"])
def test_scope_is_uvicorn_s(target: str, fields: dict[str, str]) -> None:
    scopes: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["shared"] = 1
            for _ in range(2):
                await send({"type": (await receive())["type"] + ".complete"})
            return
        scopes.append({key: value for key, value in scope.items() if key not in ("client", "server")})
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    for serving in (on_uvicorn(app), *(on_engine(app, transport) for transport in TRANSPORTS)):
        with serving as port, opened(port, target, **fields) as peer:
            peer.send(close())
            assert peer.frames() == [("close", (1000, ""))]
    want = scopes[0]
    want["headers"] = [(name.lower(), value) for name, value in want["headers"]]
    for scope in scopes[1:]:
        assert scope == want
        assert list(scope) == list(want)


def test_frames_may_come_with_the_handshake(serve: Serve, transport: str) -> None:
    server = serve(Recorder(echo), transport=transport)
    with opened(server.port) as peer:
        peer.send(handshake() + frame("text", "at once") + frame("text", "cut")[:3])
        assert peer.head()[0] == 101
        assert peer.frame() == ("text", "at once")
        peer.send(close())
        peer.rest()
