"""A small real application: bearer token, connection per request, two middlewares, PostgreSQL row, response model.

DATABASE names the database, see postgres.py. database_floor.py does the same work without a server.
"""

import contextlib
import os
import time
from collections.abc import AsyncIterator
from typing import Annotated

import asyncpg
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

USERS = {"a-token": "ada"}
QUERY = "SELECT id, name, price, tags FROM items WHERE id = $1"


class Item(BaseModel):
    id: int
    name: str
    price: float
    tags: list[str]


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    async with asyncpg.create_pool(os.environ["DATABASE"], min_size=10, max_size=10) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(CORSMiddleware, allow_origins=["http://shop.example"])


@app.middleware("http")
async def timed(request: Request, call_next):
    began = time.perf_counter()
    response = await call_next(request)
    response.headers["x-process-time"] = f"{time.perf_counter() - began:.6f}"
    return response


async def user(given: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    name = USERS.get(given.credentials)
    if name is None:
        raise HTTPException(401, "unknown token")
    return name


async def session(request: Request) -> AsyncIterator[asyncpg.Connection]:
    async with request.app.state.pool.acquire() as connection:
        yield connection


@app.get("/items/{item_id}", response_model=Item)
async def item(
    item_id: int, _user: Annotated[str, Depends(user)], connection: Annotated[asyncpg.Connection, Depends(session)]
):
    row = await connection.fetchrow(QUERY, item_id)
    if row is None:
        raise HTTPException(404, "no such item")
    return dict(row)
