"""Applications of one process that call each other, both served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from tests.conftest import get
from turboapi import Server
from turboapi.testclient._httpx import httpx


class CallsFirst:
    """A plain ASGI middleware that asks another application before it goes on."""

    def __init__(self, app: Any, other: Any, heard: list[str]) -> None:
        self.app, self.other, self.heard = app, other, heard

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            transport = httpx.ASGITransport(app=self.other)
            async with httpx.AsyncClient(transport=transport, base_url="http://other") as client:
                self.heard.append((await client.get("/name")).text)
        await self.app(scope, receive, send)


class Plain:
    """A plain ASGI middleware that does nothing."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def named(name: str) -> FastAPI:
    app = FastAPI()

    @app.get("/name")
    async def read() -> str:
        return name

    return app


def test_middleware_may_call_another_application_of_the_engine(serve: Callable[..., Server], transport: str) -> None:
    heard: list[str] = []
    inner, outer = named("inner"), named("outer")
    inner.add_middleware(Plain)
    outer.add_middleware(CallsFirst, other=inner, heard=heard)
    assert get(serve(inner, transport=transport), "/name").data == b'"inner"'
    assert get(serve(outer, transport=transport), "/name").data == b'"outer"'
    assert heard == ['"inner"']
