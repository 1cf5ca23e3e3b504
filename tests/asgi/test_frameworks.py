"""Other people's frameworks on the engine: Starlette, Quart and Litestar, a little of each."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import litestar
import pytest
import quart

from tests.conftest import ask, get
from turboapi import Server

Serve = Callable[..., Server]


def on_starlette() -> Any:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Mount, Route

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
        yield {"greeting": "hello"}

    async def hello(request: Request) -> JSONResponse:
        return JSONResponse({"hello": request.path_params["name"], "state": request.state.greeting})

    async def echo(request: Request) -> JSONResponse:
        return JSONResponse(await request.json())

    async def stream(request: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for number in range(100):
                yield f"{number}\n"

        return StreamingResponse(parts(), media_type="text/plain")

    def in_thread(request: Request) -> PlainTextResponse:
        return PlainTextResponse("from a thread")

    routes = [
        Route("/hello/{name}", hello),
        Route("/echo", echo, methods=["POST"]),
        Route("/stream", stream),
        Mount("/below", routes=[Route("/thread", in_thread)]),
    ]
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(GZipMiddleware, minimum_size=100)])


def test_starlette(serve: Serve, transport: str, loop_name: str) -> None:
    server = serve(on_starlette(), transport=transport, loop=loop_name)
    assert json.loads(get(server, "/hello/you").data) == {"hello": "you", "state": "hello"}
    assert json.loads(ask(server, "POST", "/echo", body=b'{"a": [1, 2]}').data) == {"a": [1, 2]}
    assert get(server, "/stream").data == b"".join(b"%d\n" % number for number in range(100))
    assert get(server, "/stream", headers={"accept-encoding": "gzip"}).getheader("content-encoding") == "gzip"
    assert get(server, "/below/thread").data == b"from a thread"
    assert get(server, "/nowhere").status == 404
    assert ask(server, "DELETE", "/echo").status == 405


def test_quart(serve: Serve, transport: str, loop_name: str) -> None:
    app = quart.Quart("shop")

    @app.get("/hello/<name>")
    async def hello(name: str) -> dict[str, str]:
        return {"hello": name}

    @app.post("/echo")
    async def echo() -> Any:
        return await quart.request.get_json()

    @app.get("/stream")
    async def stream() -> Any:
        async def parts() -> AsyncIterator[bytes]:
            for number in range(100):
                yield b"%d\n" % number

        return parts()

    @app.get("/thread")
    def in_thread() -> str:
        return "from a thread"

    server = serve(app, transport=transport, loop=loop_name)
    assert json.loads(get(server, "/hello/you").data) == {"hello": "you"}
    body = {"body": b'{"a": [1, 2]}', "headers": {"content-type": "application/json"}}
    assert json.loads(ask(server, "POST", "/echo", **body).data) == {"a": [1, 2]}
    assert get(server, "/stream").data == b"".join(b"%d\n" % number for number in range(100))
    assert get(server, "/thread").data == b"from a thread"
    assert get(server, "/nowhere").status == 404


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # each release of Litestar prefers another way
def test_litestar(serve: Serve, transport: str, loop_name: str) -> None:
    @litestar.get("/hello/{name:str}")
    async def hello(name: str) -> dict[str, str]:
        return {"hello": name}

    @litestar.post("/echo")
    async def echo(data: dict[str, Any]) -> dict[str, Any]:
        return data

    @litestar.get("/stream")
    async def stream() -> litestar.response.Stream:
        async def parts() -> AsyncIterator[bytes]:
            for number in range(100):
                yield b"%d\n" % number

        return litestar.response.Stream(parts())

    @litestar.get("/thread", sync_to_thread=True)
    def in_thread() -> str:
        return "from a thread"

    server = serve(litestar.Litestar([hello, echo, stream, in_thread]), transport=transport, loop=loop_name)
    assert json.loads(get(server, "/hello/you").data) == {"hello": "you"}
    body = {"body": b'{"a": [1, 2]}', "headers": {"content-type": "application/json"}}
    assert json.loads(ask(server, "POST", "/echo", **body).data) == {"a": [1, 2]}
    assert get(server, "/stream").data == b"".join(b"%d\n" % number for number in range(100))
    assert get(server, "/thread").data == b"from a thread"
    assert get(server, "/nowhere").status == 404


def test_fastapi_wrapped_in_another_application_runs_as_it_is(serve: Serve, transport: str) -> None:
    from fastapi import FastAPI

    inner = FastAPI()

    @inner.get("/")
    async def root() -> dict[str, str]:
        return {"hello": "world"}

    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-wrapped", b"yes"))
            await send(message)

        await inner(scope, receive, marked)

    reply = get(serve(wrapper, transport=transport))
    assert (reply.data, reply.getheader("x-wrapped")) == (b'{"hello":"world"}', "yes")
