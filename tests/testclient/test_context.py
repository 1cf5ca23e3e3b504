"""The caller's context variables are the application's, as with Starlette's client, and nothing comes back."""

from __future__ import annotations

import contextvars
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request, Response, WebSocket

from tests.testclient.both import Both, TestClient

name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")


def speaking() -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.begun = name.get()
        name.set("lifespan")
        yield

    app = FastAPI(lifespan=lifespan)
    app.state.begun = "not at all"
    app.state.after = []

    @app.get("/async")
    async def in_async() -> str:
        return name.get()

    @app.get("/def")
    def in_def() -> str:
        return name.get()

    async def sets() -> None:
        name.set("dependency")

    @app.get("/dependency", dependencies=[Depends(sets)])
    def after_dependency() -> str:
        return name.get()

    def gives() -> Iterator[str]:
        yield name.get()

    @app.get("/yield")
    async def with_yield(tasks: BackgroundTasks, given: str = Depends(gives)) -> list[str]:
        tasks.add_task(lambda: app.state.after.append(name.get()))
        return [given, name.get()]

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(name.get())

    @app.middleware("http")
    async def tells(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-name"] = name.get()
        return response

    return app


@pytest.mark.parametrize("enter", [True, False], ids=["with", "without"])
@pytest.mark.parametrize("middleware", [True, False], ids=["middleware", "plain"])
def test_variables_of_the_caller(both: Both, enter: bool, middleware: bool) -> None:
    def make() -> FastAPI:
        name.set("test")
        app = speaking()
        if not middleware:
            app.user_middleware.clear()
        return app

    def do(client: Any) -> Any:
        found = [client.app.state.begun]
        for value in ("Ann", "Bob"):
            name.set(value)
            for path in ("/async", "/def", "/dependency", "/yield"):
                reply = client.get(path)
                found += [reply.json(), reply.headers.get("x-name")]
            with client.websocket_connect("/ws") as session:
                found.append(session.receive_text())
            found.append(name.get())
        return found, client.app.state.after

    assert contextvars.copy_context().run(lambda: both(make, do, enter=enter))[1] == ["Ann", "Bob"]


def test_a_client_within_an_application_has_its_own_server() -> None:
    """What the outer server knows of its request, the inner application does not get."""
    inner, outer = FastAPI(), FastAPI()

    @inner.get("/")
    async def inner_root() -> str:
        return name.get()

    @outer.middleware("http")
    async def asks(request: Request, call_next: Any) -> Response:
        name.set("outer")
        with TestClient(inner) as client:
            found = client.get("/").json()
        response: Response = await call_next(request)
        response.headers["x-inner"] = found
        return response

    @outer.get("/")
    async def outer_root() -> str:
        return "outermost"

    with TestClient(outer) as client:
        reply = client.get("/")
    assert (reply.json(), reply.headers["x-inner"]) == ("outermost", "outer")
