"""What declares a body to be JSON, and limits of its size where code of the application's can see them."""

import asyncio
import inspect
from typing import Any

from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from ..case import case
from ..request import get, post
from ..trace import Trace

TYPES = [
    "application/json",
    "Application/Json; charset=utf-8",
    "application/vnd.api+json",
    "application/problem+JSON ; a=b",
    "application/+json",
    "application/x+json+json",
    "application/json+x",
    "application/jsonx",
    "application/a/b+json",
    "application/a b+json",
    "application",
    "application/",
    "application/;+json",
    "text/x+json",
    "text/json",
    "application/x-www-form-urlencoded",
    ";",
    "",
    "*/*",
    '"application/json"',
    "application/\u00e9+json",
]
PATHS = ["/item", "/loose", "/shown", "/bytes", "/any"]


class Item(BaseModel):
    name: str


@case(
    [({200, 422}, post(path, {"Content-Type": kind}, body=b'{"name": "pen"}')) for path in PATHS for kind in TYPES]
    + [({200, 422}, post(path, body=b'{"name": "pen"}')) for path in PATHS]
    + [({200, 422}, post(path, [("Content-Type", "text/plain"), ("Content-Type", "application/json")], body=b"{}"))
       for path in PATHS]
    + [({200, 422}, post(path, body=b'{"name": ')) for path in PATHS]
    + [({200, 422}, post(path, {"Content-Type": "application/x+json"}, body=b"[1")) for path in PATHS]
)  # fmt: skip
def declared_types(trace: Trace) -> FastAPI:
    app = FastAPI()
    knows = "strict_content_type" in inspect.signature(APIRouter).parameters
    loose = APIRouter(**({"strict_content_type": False} if knows else {}))

    @app.post("/item")
    async def item(item: Item):
        trace("item")
        return item

    @loose.post("/loose")
    def loosely(item: Item):
        trace("loose")
        return item

    @app.post("/shown")
    async def shown(item: Item, request: Request):
        return {"item": item, "again": await request.json(), "type": request.headers.get("content-type")}

    @app.post("/bytes")
    async def raw(request: Request):
        return PlainTextResponse(await request.body())

    @app.post("/any")
    async def anything(value: Any = Body(None)):
        trace("any", type(value).__name__)
        return value

    app.include_router(loose)
    return app


@case(
    [(200, post(f"{path}?n=1", json={"name": "x" * 10})) for path in ("/json", "/read", "/stream", "/dependency")]
    + [(413, post(f"{path}?n=1", json={"name": "x" * 200})) for path in ("/json", "/read", "/stream", "/dependency")]
    + [({200, 413}, post(f"{path}?n=1", {"Content-Type": "application/json"}, body=b'{"name": "12345678"}',
                         chunks=[5, 5, 5, 5])) for path in ("/json", "/read", "/stream", "/caught", "/generated")]
    + [({200, 413}, post(f"{path}?n=1", {"Content-Type": "application/json"}, body=b'{"name": "' + b"x" * 200 + b'"}',
                         chunks=[50, 50, 50, 62])) for path in ("/json", "/read", "/stream", "/caught", "/generated",
                                                               "/group")]
    + [(422, post("/json?n=x", json={"name": "x"})), (422, post("/json?n=1", json={})), (200, post("/read?n=1"))]
    + [(404, post("/fails?n=1", json={"name": "x"})), (200, get("/unlimited")), (200, post("/generated?n=1"))]
    + [(200, post("/outer?n=1", json={"name": "x" * 50})), (413, post("/outer?n=1", json={"name": "x" * 100}))],
    since=("0.164.0", "max_body_size"),
    wild=False,
)  # fmt: skip
def limits_that_are_seen(trace: Trace) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.exception_handler(413)
    async def too_large(request: Request, error: HTTPException):
        trace("too large", error.detail)
        return PlainTextResponse("too large for us", 413)

    def seen(request: Request) -> list[object]:
        keys = sorted(key for key in request.scope if key.startswith("starlette."))
        responder = request.scope.get("starlette._body_limit_responder")
        counted = None
        if responder is not None:
            counted = [responder.content_length, responder.max_body_size]
        return [keys, request.scope.get("starlette.max_body_size"), type(responder).__name__, counted]

    async def dependency(request: Request):
        return [seen(request), (await request.json())["name"]]

    @app.post("/json", max_body_size=50)
    async def by_json(item: Item, n: int, request: Request):
        return [seen(request), item, await request.json()]

    @app.post("/read", max_body_size=50)
    async def read(n: int, request: Request):
        return [seen(request), len(await request.body())]

    @app.post("/stream", max_body_size=50)
    async def stream(n: int, request: Request):
        return [seen(request), [len(part) async for part in request.stream()]]

    @app.post("/caught", max_body_size=50)
    async def caught(n: int, request: Request):
        try:
            await request.body()
        except HTTPException as error:
            return [seen(request), error.status_code, error.detail]
        return seen(request)

    @app.post("/group", max_body_size=50)
    async def group(n: int, request: Request):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(request.body())
        return seen(request)

    @app.post("/generated", max_body_size=50)
    async def generated(n: int, request: Request):
        yield seen(request)
        yield n

    @app.post("/dependency", max_body_size=50)
    async def by_dependency(n: int, found: list[object] = Depends(dependency)):
        return found

    @app.post("/fails", max_body_size=50)
    async def fails(item: Item, n: int, request: Request):
        raise HTTPException(404, [item.name, n])

    @app.get("/unlimited")
    async def unlimited(request: Request):
        return seen(request)

    limited = APIRouter(max_body_size=80)

    @limited.post("/outer")
    def outer(item: Item, n: int, request: Request):
        return [seen(request), item]

    app.include_router(limited)
    return app
