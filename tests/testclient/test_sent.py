"""Requests that HTTP cannot carry as they are given: the application sees what it sees with Starlette's client."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, Header, Request, WebSocket
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.security import HTTPBearer

from tests.testclient.both import Both, shape


def told() -> FastAPI:
    app = FastAPI()

    @app.api_route("/", methods=["GET", "POST"])
    async def root(request: Request) -> dict[str, Any]:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"]]
        return {"headers": headers, "body": (await request.body()).decode(), "url": str(request.url)}

    @app.get("/header")
    def header(x_a: str = Header(), content_length: str | None = Header(None)) -> list[str | None]:
        return [x_a, content_length]

    bearer = HTTPBearer()

    @app.get("/bearer")
    async def secured(request: Request) -> Any:
        return await bearer(request)

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket.accept(websocket.scope["subprotocols"][-1] if websocket.scope["subprotocols"] else None)
        await websocket.send_json(websocket.headers.items())
        await websocket.send_json(websocket.scope["subprotocols"])

    return app


HEADERS: dict[str, Any] = {
    "space at the end": {"Authorization": "Bearer ", "x-a": "1 "},
    "space at the beginning": {"x-a": " 1"},
    "nothing": {"x-a": ""},
    "spaces only": {"x-a": "  "},
    "control characters": {"x-a": "a\x01\x7f"},
    "line feed": {"x-a": "a\nb: c"},
    "bytes above ASCII": {b"x-a": b"h\xe9"},
    "name with a space": {"x a": "1"},
    "no name": {"": "1"},
    "host elsewhere": {"host": "Example.com"},
    "host with a port": {"host": "[::1]:80"},
    "host with a space": {"host": "no host"},
    "no host": {"host": ""},
    "length of another body": {"content-length": "1000000"},
    "length that is no number": {"content-length": "many"},
    "coding": {"transfer-encoding": "chunked"},
    "unknown coding": {"transfer-encoding": "gzip"},
    "expectation": {"expect": "100-continue"},
    "unknown expectation": {"expect": "more"},
    "upgrade": {"connection": "upgrade", "upgrade": "websocket"},
    "close": {"connection": "close"},
}


@pytest.mark.parametrize("name", HEADERS)
def test_header_fields(both: Both, name: str) -> None:
    def do(client: Any) -> Any:
        given = HEADERS[name]
        asked = [client.get(path, headers=given) for path in ("/", "/header", "/bearer", "/none")]
        asked.append(client.post("/", headers=given, content=b"body"))
        return [shape(reply) for reply in [*asked, client.get("/header", headers={"x-a": "plain"})]]

    assert both(told, do)[0]["status"] == 200


@pytest.mark.parametrize("host", ["good.example", "bad example", "bad"])
def test_hosts_that_middleware_looks_at(both: Both, host: str) -> None:
    def make() -> FastAPI:
        app = told()
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["good.example"])
        return app

    found = both(make, lambda client: shape(client.get("/header", headers={"host": host, "x-a": "1"})))
    assert found["status"] == (200 if host == "good.example" else 400)


@pytest.mark.parametrize("method", ["QUERY", "get", "NO METHOD", "x" * 60, ""])
def test_methods(both: Both, method: str) -> None:
    def do(client: Any) -> Any:
        reply = shape(client.request(method, "/"))
        reply["headers"] = sorted(field for field in reply["headers"] if field[0] != "allow")
        return reply

    both(told, do)


def test_a_websocket_sees_the_fields_of_the_request(both: Both) -> None:
    def do(client: Any) -> Any:
        headers = {"x-a": "1 ", "sec-websocket-extensions": "permessage-deflate"}
        with client.websocket_connect("/ws", subprotocols=["a b", "c"], headers=headers) as session:
            found = session.receive_json(), session.receive_json(), session.accepted_subprotocol
        with client.websocket_connect("/ws") as session:
            return found, session.receive_json(), session.receive_json()

    assert both(told, do)[0][1] == ["a b", "c"]
