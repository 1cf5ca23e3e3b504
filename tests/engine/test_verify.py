"""Verify mode: the client gets FastAPI's answer, the compiled one is compared with it, and what differs is logged."""

from __future__ import annotations

import itertools
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import StreamingResponse

from tests.conftest import ask, eventually, get
from turboapi import Server
from turboapi.engine import verify

Serve = Callable[..., Server]


def verified(server: Server, count: int) -> dict[str, int]:
    """The counts, once so many requests have been compared."""
    eventually(lambda: server.stats()["verified"] + server.stats()["passed_over"] >= count, lambda: str(server.stats()))
    return {name: server.stats()[name] for name in ("verified", "different", "passed_over")}


def shop() -> FastAPI:
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["*"])

    @app.get("/items/{n}")
    async def item(n: int, q: str = "") -> dict[str, Any]:
        return {"n": n, "q": q}

    @app.get("/sync")
    def sync(request: Request) -> dict[str, Any]:
        return {"key": request.headers.getlist("x-key"), "url": str(request.url), "state": request.state.name}

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(403, "no", headers={"X-Why": "because"})

    @app.get("/fails")
    async def fails() -> None:
        raise LookupError

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter(["a", "b"]))

    @app.api_route("/head", methods=["GET", "HEAD"])
    def head() -> Response:
        return Response("body", headers={"X-Head": "1"})

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        yield {"name": "shop"}

    app.router.lifespan_context = lifespan
    return app


def test_equal_answers_are_counted_and_not_told(serve: Serve, transport: str, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(shop(), transport=transport, verify=True, root_path="/api")
    asked = [
        ("GET", "/items/5?q=%C3%A9", {}),
        ("GET", "/items/x", {"Origin": "https://a.test"}),
        ("GET", "/sync", {"X-Key": "1"}),
        ("GET", "/refused", {"Origin": "https://a.test"}),
        ("GET", "/fails", {}),
        ("GET", "/stream", {}),
        ("GET", "/head", {}),
        ("HEAD", "/head", {}),
        ("GET", "/nowhere", {}),
        ("GET", "/items/5/", {}),
        ("GET", "/openapi.json", {}),
    ]
    with caplog.at_level(logging.WARNING, "turboapi.error"):
        for count, (method, target, headers) in enumerate(asked, 1):
            ask(server, method, target, headers=headers)
            assert verified(server, count) == {"verified": count, "different": 0, "passed_over": 0}
    assert not [line for line in caplog.messages if line.startswith("Verify")]
    assert get(server, "/sync").data.endswith(b'/api/sync","state":"shop"}')
    verified(server, len(asked) + 1)


def test_differences_are_told_with_method_and_path(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = FastAPI()
    numbers = itertools.count(1)

    @app.get("/count")
    async def count(response: Response) -> int:
        number = next(numbers)
        response.headers["X-Count"] = str(number)
        return number

    server = serve(app, verify=True)
    with caplog.at_level(logging.WARNING, "turboapi.error"):
        assert get(server, "/count").data == b"1"
        assert verified(server, 1) == {"verified": 1, "different": 1, "passed_over": 0}
    (line,) = [line for line in caplog.messages if line.startswith("Verify")]
    assert line == (
        "Verify: GET /count differs from FastAPI's own answer: header x-count: '1', compiled '2'; "
        "body at byte 0: '1', compiled '2' (1 and 1 bytes)"
    )
    caplog.clear()
    monkeypatch.setattr(verify, "_LINES", 0)
    with caplog.at_level(logging.WARNING, "turboapi.error"):
        get(server, "/count")
        assert verified(server, 2)["different"] == 2
        assert not caplog.messages


def test_only_requests_that_may_be_repeated_are(serve: Serve) -> None:
    app = FastAPI()
    seen: list[str] = []

    @app.api_route("/", methods=["GET", "POST", "DELETE"])
    async def note(request: Request) -> None:
        seen.append(request.method)
        await request.body()

    server = serve(app, verify=True)
    ask(server, "POST", "/", body=b"x")
    ask(server, "DELETE", "/")
    ask(server, "GET", "/", body=b"a body")
    get(server)
    verified(server, 1)
    assert sorted(seen) == ["DELETE", "GET", "GET", "GET", "POST"]


def test_large_answers_are_passed_over(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_LARGEST", 1000)
    app = FastAPI()

    @app.get("/{size}")
    async def large(size: int) -> Response:
        return Response(b"x" * size)

    server = serve(app, verify=True)
    assert len(get(server, "/1001").data) == 1001
    get(server, "/1000")
    assert verified(server, 2) == {"verified": 1, "different": 0, "passed_over": 1}


def test_long_answers_are_passed_over(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_LONGEST", 0.0)
    app = FastAPI()

    @app.get("/")
    def slow() -> str:
        threading.Event().wait(0.02)
        return "slow"

    server = serve(app, verify=True)
    assert get(server).data == b'"slow"'
    assert verified(server, 1) == {"verified": 0, "different": 0, "passed_over": 1}


def test_no_more_requests_are_held_than_the_limit(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_MOST", 2)
    app = FastAPI()
    release, entered = threading.Event(), threading.Semaphore(0)

    @app.get("/")
    def wait() -> str:
        entered.release()
        release.wait(10)
        return "done"

    server = serve(app, verify=True)
    clients = [threading.Thread(target=get, args=(server,)) for _ in range(5)]
    for client in clients:
        client.start()
    for _ in clients:
        assert entered.acquire(timeout=10)
    assert server.stats()["passed_over"] == 3
    release.set()
    for client in clients:
        client.join()
    assert verified(server, 5) == {"verified": 2, "different": 0, "passed_over": 3}


def test_a_compiled_face_that_is_gone_is_told(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(shop(), verify=True)
    assert server._serving is not None
    shadow = server._serving._shadow
    assert shadow is not None
    shadow._serving.stop()
    eventually(shadow._task.done)
    with caplog.at_level(logging.WARNING, "turboapi.error"):
        assert get(server, "/items/1").status == 200
        assert verified(server, 1)["different"] == 1
    assert "the compiled face gave no answer (ConnectionRefusedError" in caplog.messages[-1]
    assert server.started


def test_nothing_is_left_behind(transport: str) -> None:
    lifespans: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        lifespans.append("up")
        yield
        lifespans.append("down")

    app = FastAPI(lifespan=lifespan)
    before = {thread.ident for thread in threading.enumerate()}
    for _ in range(3):
        with Server(app, port=0, verify=True, transport=transport) as server:  # type: ignore[arg-type]
            assert server._serving is not None
            shadow = server._serving._shadow
            assert shadow is not None
            address = shadow.verify._address
            get(server, "/docs")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
    assert lifespans == ["up", "down"] * 3
    eventually(lambda: {thread.ident for thread in threading.enumerate()} <= before)


def test_the_environment_turns_it_on_where_nothing_else_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURBOAPI_VERIFY", "1")
    assert Server(FastAPI()).settings.verify
    assert not Server(FastAPI(), verify=False).settings.verify
    monkeypatch.setenv("TURBOAPI_VERIFY", "0")
    assert not Server(FastAPI()).settings.verify


def test_another_application_has_nothing_to_compare(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"bare"})

    with caplog.at_level(logging.WARNING, "turboapi.error"):
        server = serve(app, verify=True, lifespan="off")
    assert "Verify: this is no FastAPI application, so there is nothing to compare." in caplog.messages
    assert get(server).data == b"bare"
