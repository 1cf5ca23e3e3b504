"""Middleware of every kind around routes of every kind: answers, exceptions and the order of side effects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from fastapi import BackgroundTasks, Body, Depends, FastAPI, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse

from tests.testclient.both import Both, outcome, shape


class Broken(Exception):
    """What routes and middleware raise."""


class Layer:
    """Middleware as an ASGI application. kind: what it does."""

    def __init__(self, app: Any, kind: str) -> None:
        self.app = app
        self.kind = kind

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            await getattr(self, self.kind)(scope, receive, send)

    async def raises_before(self, scope: Any, receive: Any, send: Any) -> None:
        raise Broken("before")

    async def raises_after(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)
        raise Broken("after")

    async def adds_a_field(self, scope: Any, receive: Any, send: Any) -> None:
        async def adding(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-layer", b"1")]
            await send(message)

        await self.app(scope, receive, adding)

    async def changes_the_path(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app({**scope, "path": "/async", "raw_path": b"/async"}, receive, send)

    async def changes_the_body(self, scope: Any, receive: Any, send: Any) -> None:
        async def upper() -> Any:
            message = await receive()
            return {**message, "body": message["body"].upper()} if "body" in message else message

        await self.app(scope, upper, send)

    async def leaves_state(self, scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["layer"] = "seen"
        await self.app(scope, receive, send)

    async def runs_it_in_a_task(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.create_task(self.app(scope, receive, send))

    async def runs_it_in_a_group(self, scope: Any, receive: Any, send: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self.app, scope, receive, send)


async def marks(request: Request, call_next: Any) -> Response:
    request.app.state.steps.append("in")
    response: Response = await call_next(request)
    response.set_cookie("seen", getattr(request.state, "layer", "not"))
    request.app.state.steps.append("out")
    return response


async def catches(request: Request, call_next: Any) -> Response:
    try:
        response: Response = await call_next(request)
    except Exception as error:
        return JSONResponse({"caught": type(error).__name__}, 503)
    return response


async def rewrites(request: Request, call_next: Any) -> Response:
    response = await call_next(request)
    body = b"".join([part async for part in response.body_iterator])
    return PlainTextResponse(body[::-1], response.status_code)


async def raises_late(request: Request, call_next: Any) -> Response:
    await call_next(request)
    raise Broken("late")


def layered(kind: str | None, around: Callable[..., Any] | None) -> FastAPI:
    app = FastAPI()
    steps = app.state.steps = []
    if kind is not None:
        app.add_middleware(Layer, kind=kind)
    if around is not None:
        app.middleware("http")(around)

    async def given() -> AsyncIterator[int]:
        steps.append("enter")
        try:
            yield 1
        except Exception as error:
            steps.append(f"saw {type(error).__name__}")
            raise
        finally:
            steps.append("exit")

    @app.get("/async")
    async def in_async(request: Request, value: int = Depends(given)) -> dict[str, Any]:
        return {"state": getattr(request.state, "layer", None), "path": request.url.path}

    @app.get("/def")
    def in_def(tasks: BackgroundTasks, value: int = Depends(given)) -> int:
        tasks.add_task(steps.append, "task")
        return value

    @app.get("/raises")
    async def raises(value: int = Depends(given)) -> None:
        raise Broken("route")

    @app.get("/refuses")
    def refuses(value: int = Depends(given)) -> None:
        raise HTTPException(409, "no", {"x-why": "because"})

    @app.get("/task")
    def task_raises(tasks: BackgroundTasks) -> int:
        def fail() -> None:
            raise Broken("task")

        tasks.add_task(fail)
        return 1

    @app.get("/stream")
    async def stream(breaks: bool = False) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            yield "one"
            if breaks:
                raise Broken("stream")

        return StreamingResponse(parts())

    @app.get("/group")
    async def group() -> None:
        raise ExceptionGroup("several", [Broken("one"), ValueError("two")])

    @app.post("/json")
    async def json(value: dict[str, str] = Body()) -> dict[str, str]:
        return value

    @app.post("/form")
    async def form(name: str = Form(), file: UploadFile | None = None) -> list[str | None]:
        return [name, file and file.filename]

    return app


# (method, path, options of the request)
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    *(("GET", path, {}) for path in ("/async", "/def", "/raises", "/refuses", "/task", "/stream", "/stream?breaks=1")),
    *(("GET", path, {}) for path in ("/group", "/none", "/async/")),
    *((method, "/async", {}) for method in ("HEAD", "POST")),
    ("POST", "/json", {"json": {"a": "b"}}),
    ("POST", "/form", {"data": {"name": "Ann"}}),
]
KINDS = [None, *sorted(name for name in vars(Layer) if not name.startswith("_"))]


@pytest.mark.parametrize(
    "around", [None, marks, catches, rewrites, raises_late], ids=lambda each: getattr(each, "__name__", "-")
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_around_every_route(kind: str | None, around: Callable[..., Any] | None) -> None:
    def do(client: Any) -> list[Any]:
        found = []
        for method, path, options in CALLS:
            answer = outcome(lambda: shape(client.request(method, path, **options)))  # noqa: B023 (called at once)
            steps = client.app.state.steps
            found.append((method, path, answer, list(steps)))
            steps.clear()
        return found

    found = Both("auto")(lambda: layered(kind, around), do)
    assert len(found) == len(CALLS)
