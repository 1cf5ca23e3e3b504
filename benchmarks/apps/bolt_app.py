"""The same routes for django-bolt, with msgspec models, which is what it recommends.

python -m django runbolt --settings bolt_settings --processes 1 --workers 1
"""

import asyncio
import time

import msgspec
from django_bolt import BoltAPI, Depends

api = BoltAPI(enable_logging=False, compression=False)


class Item(msgspec.Struct):
    name: str
    price: float
    tags: list[str] = []


class Row(msgspec.Struct):
    id: int
    name: str
    price: float
    tags: list[str]


ROWS = [Row(id=i, name=f"row {i}", price=i + 0.5, tags=["a", "b"]) for i in range(100)]


@api.get("/def")
def plain():
    return {"message": "hello"}


@api.get("/async")
async def coroutine():
    return {"message": "hello"}


async def hello():
    return {"message": "hello"}


@api.get("/await")
async def awaiting():
    return await hello()


@api.get("/yield")
async def yielding():
    await asyncio.sleep(0)
    return {"message": "hello"}


@api.get("/items/{item_id}")
async def typed(item_id: int, q: str | None = None):
    return {"item_id": item_id, "q": q}


@api.post("/items", status_code=200)
async def create(item: Item) -> Item:
    return item


@api.get("/rows")
async def rows() -> list[Row]:
    return ROWS


def five():
    return 5


@api.get("/dependency")
async def dependency(x: int = Depends(five)):
    return {"x": x}


@api.get("/sleep")
async def sleep():
    await asyncio.sleep(0.01)
    return {"message": "slept"}


@api.get("/block")
def block():
    time.sleep(0.01)
    return {"message": "slept"}
