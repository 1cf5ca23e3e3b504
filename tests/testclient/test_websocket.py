"""WebSocket sessions: what a caller sees is what Starlette's test client shows."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from typing import Any

import pytest
from fastapi import Cookie, Depends, FastAPI, Header, WebSocket, WebSocketDisconnect, WebSocketException
from starlette.responses import PlainTextResponse
from starlette.testclient import WebSocketDenialResponse

from tests.testclient.both import Both, outcome


class Broken(Exception):
    """What the application raises."""


def talkative() -> FastAPI:
    app = FastAPI()
    app.state.steps = []
    app.state.said = threading.Event()

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    app.state.steps.append(("left", message["code"]))
                    return
                if message.get("text") is not None:
                    await websocket.send_text(message["text"])
                else:
                    await websocket.send_bytes(message["bytes"])
        finally:
            app.state.steps.append("end")

    @app.websocket("/about/{name}")
    async def about(
        websocket: WebSocket, name: str, q: str = "none", a: str | None = Cookie(None), x_b: str | None = Header(None)
    ) -> None:
        await websocket.accept(subprotocol="two", headers=[(b"x-extra", b"1")])
        await websocket.send_json(
            {
                "name": name,
                "q": q,
                "cookie": a,
                "header": x_b,
                "url": str(websocket.url),
                "client": websocket.client,
                "subprotocols": websocket.scope["subprotocols"],
                "agent": websocket.headers["user-agent"],
                "host": websocket.headers["host"],
                "state": dict(websocket.state._state),
            }
        )
        await websocket.send_json(await websocket.receive_json(), mode="binary")
        await websocket.close(3001, "enough")

    def refuse() -> None:
        raise WebSocketException(1008, "not you")

    @app.websocket("/refused", dependencies=[Depends(refuse)])
    async def refused(websocket: WebSocket) -> None:
        await websocket.accept()

    @app.websocket("/closed")
    async def closed(websocket: WebSocket) -> None:
        await websocket.close(4004, "no")

    @app.websocket("/denied")
    async def denied(websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("pay first", 402, {"x-price": "1"}))

    @app.websocket("/broken/{when}")
    async def broken(websocket: WebSocket, when: str) -> None:
        if when == "before":
            raise Broken(when)
        await websocket.accept()
        if when == "during":
            await websocket.send_text("one")
            raise Broken(when)
        try:
            await websocket.receive_text()
        except WebSocketDisconnect:
            raise Broken(when) from None

    @app.websocket("/ticking")
    async def ticking(websocket: WebSocket, wait: float = 0) -> None:
        await websocket.accept()
        try:
            for number in itertools.count():
                await websocket.send_json(number)
                await asyncio.sleep(wait)
        except BaseException as error:
            app.state.steps.append(type(error).__name__)
            raise

    @app.websocket("/farewell")
    async def farewell(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect:
            await websocket.send_text("farewell")
            app.state.steps.append("said")
        finally:
            await websocket.close()
            app.state.steps.append("closed")
            app.state.said.set()

    @app.websocket("/silent")
    async def silent(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await asyncio.Event().wait()
        finally:
            app.state.steps.append("silent end")

    return app


def test_echo_of_every_kind(both: Both) -> None:
    def do(client: Any) -> Any:
        with client.websocket_connect("/echo") as session:
            session.send_text("grüße")
            found = [session.receive_text()]
            session.send_bytes(b"\x00\xff")
            found.append(session.receive_bytes())
            session.send_json({"a": [1, None]})
            found.append(session.receive_json())
            session.send_json([2], mode="binary")
            found.append(session.receive_json(mode="binary"))
            session.send({"type": "websocket.receive", "text": "x" * 200_000})
            found.append(session.receive())
        return found, client.app.state.steps[-1]

    assert both(talkative, do)[1] == "end"


def test_handshake_and_close(both: Both) -> None:
    def do(client: Any) -> Any:
        with client.websocket_connect(
            "/about/Ann?q=1", subprotocols=["one", "two"], headers={"X-B": "b"}, cookies={"a": "c"}
        ) as session:
            found = [session.receive_json(), session.accepted_subprotocol, list(session.extra_headers)]
            session.send_json("bye")
            found.append(session.receive_json(mode="binary"))
            with pytest.raises(WebSocketDisconnect) as left:
                session.receive_text()
        return found, left.value.code, left.value.reason

    with pytest.warns(DeprecationWarning, match="cookies"):  # of one request; httpx says so
        assert both(talkative, do)[1:] == (3001, "enough")


def test_what_is_sent_after_the_end_is_dropped(both: Both) -> None:
    def do(client: Any) -> Any:
        with client.websocket_connect("/about/Ann", headers={"X-B": "b"}) as session:
            session.receive_json()
            session.send_json("bye")
            found = session.receive()["bytes"], session.receive()
            session.send_text("too late")
            session.close()
        return found

    assert both(talkative, do)[1] == {"type": "websocket.close", "code": 3001, "reason": "enough"}


def test_closing_before_the_end_of_with(both: Both) -> None:
    def do(client: Any) -> Any:
        with client.websocket_connect("/echo") as session:
            session.send_text("one")
            found = session.receive_text()
            session.close(4001, "enough")
            session.close()
        with client.websocket_connect("/echo") as session:
            session.send({"type": "websocket.disconnect", "code": 1001})
            session.send_text("too late")
        return found, client.app.state.steps

    assert both(talkative, do)[1] == [("left", 4001), "end", ("left", 1001), "end"]


def test_what_a_session_knows(both: Both) -> None:
    def do(client: Any) -> Any:
        async def double(number: int) -> int:
            return 2 * number

        with client.websocket_connect("/echo?q=1") as session:
            scope = {name: session.scope[name] for name in ("type", "path", "query_string", "subprotocols")}
            return scope, session.portal.call(double, 4), session.app is client.app

    assert both(talkative, do)[1:] == (8, True)


@pytest.mark.parametrize("path", ["/refused", "/closed", "/none", "/denied"])
def test_refusals(both: Both, path: str) -> None:
    def do(client: Any) -> Any:
        try:
            with client.websocket_connect(path):
                pass
        except WebSocketDenialResponse as denied:
            return denied.status_code, denied.content, denied.headers["x-price"]
        except WebSocketDisconnect as left:
            return left.code, left.reason

    assert both(talkative, do) is not None


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_exceptions_reach_the_caller(both: Both, when: str) -> None:
    def do(client: Any) -> Any:
        def talk() -> Any:
            with client.websocket_connect(f"/broken/{when}") as session:
                return session.receive_text() if when == "during" else None

        return outcome(talk)

    assert both(talkative, do)["raised"] == "Broken"


def test_a_silent_application_is_cancelled(both: Both) -> None:
    def do(client: Any) -> Any:
        with client.websocket_connect("/silent"):
            pass
        return client.app.state.steps

    assert both(talkative, do) == ["silent end"]


def test_without_with_on_the_client(both: Both) -> None:
    def do(client: Any) -> Any:
        with client.websocket_connect("/echo") as one, client.websocket_connect("/echo") as two:
            one.send_text("1")
            two.send_text("2")
            return two.receive_text(), one.receive_text()

    assert both(talkative, do, enter=False) == ("2", "1")


@pytest.mark.parametrize("wait", [0, 0.001, 30])
def test_an_application_that_talks_on_is_cancelled(both: Both, wait: float) -> None:
    def do(client: Any) -> Any:
        with client.websocket_connect(f"/ticking?wait={wait}") as session:
            found = session.receive_json()
        return found, client.app.state.steps

    assert both(talkative, do) == (0, ["CancelledError"])


def test_what_is_said_to_a_client_that_has_left_is_lost(both: Both) -> None:
    def do(client: Any) -> Any:
        with client.websocket_connect("/farewell") as session:
            session.close(4000)
            assert client.app.state.said.wait(60)
        return client.app.state.steps

    assert both(talkative, do) == ["said", "closed"]


@pytest.mark.parametrize("code", [1005, 1006])
def test_ends_without_a_code(both: Both, code: int) -> None:
    def do(client: Any) -> Any:
        with client.websocket_connect("/echo") as session:
            session.send_text("one")
            found = session.receive_text()
            session.close(code)
            session.send_text("too late")
            session.close()
        return found, client.app.state.steps

    assert both(talkative, do) == ("one", [("left", code), "end"])


def test_a_session_can_be_used_again(both: Both) -> None:
    def do(client: Any) -> Any:
        session, found = client.websocket_connect("/echo"), []
        for text in ("one", "two"):
            with session:
                session.send_text(text)
                found.append(session.receive_text())
        return found, client.app.state.steps

    assert both(talkative, do) == (["one", "two"], [("left", 1000), "end"] * 2)


def test_the_application_alone_is_heard_in_the_log(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    def do(client: Any) -> Any:
        with client.websocket_connect("/echo") as session:
            session.send_text("one")
            return session.receive_text()

    with caplog.at_level(logging.INFO), caplog.at_level(logging.DEBUG, "websockets"):
        both(talkative, do)
    assert [record for record in caplog.records if not record.name.startswith("httpx")] == []
