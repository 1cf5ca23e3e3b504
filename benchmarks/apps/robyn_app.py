"""The same routes for robyn. `python robyn_app.py PORT`, then robyn's own options."""

import asyncio
import sys
import time

from pydantic import BaseModel
from robyn import Robyn

PORT = int(sys.argv.pop(1))

app = Robyn(__file__)


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


@app.get("/items/:item_id")
async def typed(item_id: int, q: str | None = None):
    return {"item_id": item_id, "q": q}


@app.post("/items")
async def create(item: Item):
    return item


@app.get("/rows")
async def rows():
    return ROWS


@app.get("/sleep")
async def sleep():
    await asyncio.sleep(0.01)
    return {"message": "slept"}


@app.get("/block")
def block():
    time.sleep(0.01)
    return {"message": "slept"}


if __name__ == "__main__":
    app.start(host="127.0.0.1", port=PORT)
