"""The FastAPI application of the benchmark; it runs unchanged on TurboAPI, uvicorn and granian."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

from fastapi import Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float
    tags: list[str] = []


class Row(BaseModel):
    id: int
    name: str
    price: float
    tags: list[str]


ROWS = [Row(id=i, name=f"row {i}", price=i + 0.5, tags=["a", "b"]) for i in range(100)]


@app.get("/def")
def plain():
    return {"message": "hello"}


@app.get("/async")
async def coroutine():
    return {"message": "hello"}


async def hello():
    return {"message": "hello"}


@app.get("/await")
async def awaiting():
    return await hello()


@app.get("/yield")
async def yielding():
    await asyncio.sleep(0)
    return {"message": "hello"}


@app.get("/items/{item_id}")
async def typed(item_id: int, q: str | None = None):
    return {"item_id": item_id, "q": q}


@app.post("/items")
async def create(item: Item) -> Item:
    return item


@app.get("/rows", response_model=list[Row])
async def rows():
    return ROWS


@app.post("/rows", response_model=list[Row])
async def store(rows: list[Row]):
    return rows


def five():
    return 5


@app.get("/dependency")
async def dependency(x: int = Depends(five)):
    return {"x": x}


@app.get("/sleep")
async def sleep():
    await asyncio.sleep(0.01)
    return {"message": "slept"}


@app.get("/block")
def block():
    time.sleep(0.01)
    return {"message": "slept"}


@app.get("/rare")
def rare():
    """Return at once, but for one call in a thousand, which sleeps 50 ms."""
    if random.random() < 0.001:
        time.sleep(0.05)
    return {"message": "hello"}


@app.get("/spin")
def spin(seconds: float):
    """Hold a processor, and the GIL whenever it is to be had."""
    end = time.perf_counter() + seconds
    turns = 0
    while time.perf_counter() < end:
        turns += 1
    return {"turns": turns}


@app.get("/stream")
async def stream(chunks: int = 20):
    async def parts() -> AsyncIterator[bytes]:
        for number in range(chunks):
            await asyncio.sleep(0)
            yield b"%d\n" % number

    return StreamingResponse(parts(), media_type="text/plain")


@app.websocket("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)
