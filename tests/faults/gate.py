"""Handlers that wait until the test lets them go, one on each lane."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel

from tests.conftest import PATIENCE

__all__ = ["Gate", "Model", "gated"]


class Gate:
    """`entered` counts those that have come, `left` how they went; `open` lets all go on, later ones too."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.left: list[str] = []
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    async def pass_async(self, name: str) -> None:
        self.entered.append(name)
        try:
            while not self._open.is_set():
                await asyncio.sleep(0.001)
        except BaseException as error:
            self.left.append(f"{name}: {type(error).__name__}")
            raise
        self.left.append(name)

    def pass_sync(self, name: str) -> None:
        self.entered.append(name)
        self._open.wait(PATIENCE)
        self.left.append(name)


class Model(BaseModel):
    text: str


def gated(gate: Gate) -> FastAPI:
    app = FastAPI()

    @app.get("/loop")
    async def loop() -> str:
        await gate.pass_async("loop")
        return "loop"

    @app.get("/call")
    def call() -> str:
        gate.pass_sync("call")
        return "call"

    @app.get("/request")
    async def with_request(request: Request) -> bool:
        await gate.pass_async("request")
        return await request.is_disconnected()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await gate.pass_async("fallback")
        body = scope["path"].encode() * 10
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    app.mount("/fallback", application)

    @app.get("/fine")
    async def fine() -> int:
        return 1

    @app.post("/loop")
    async def post_loop(model: Model) -> int:
        return len(model.text)

    @app.post("/call")
    def post_call(model: Model) -> int:
        return len(model.text)

    @app.post("/stream")
    async def post_stream(request: Request) -> int:
        gate.entered.append("stream")
        size = 0
        try:
            async for part in request.stream():
                size += len(part)
        finally:
            gate.left.append("stream")
        return size

    return app
