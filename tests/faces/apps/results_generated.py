"""Endpoints that are generators: raw chunks, JSON lines and events, and what may go wrong in them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from ..case import case
from ..request import get, head, post
from ..trace import Trace, where


class Item(BaseModel):
    name: str
    price: float = Field(default=1.5, alias="cost")
    note: str | None = None


@case(
    [(200, get(f"/{kind}")) for kind in ("async", "def", "text", "status", "headers", "empty", "tasks")]
    + [(200, head("/async")), (422, get("/async?n=x")), (405, post("/def"))],
    since=("0.134.0", "a generator of raw chunks"),
)
def generated_raw(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.api_route("/async", methods=["GET", "HEAD"], response_class=StreamingResponse)
    async def chunks(n: int = 3) -> AsyncIterator[bytes]:
        for number in range(n):
            trace("chunk", number, where())
            yield b"%d," % number

    @app.get("/def", response_class=StreamingResponse)
    def chunks_def() -> Iterator[bytes]:
        trace("where", where())
        yield b"a"
        yield b"b"

    class Text(StreamingResponse):
        media_type = "text/plain"

    @app.get("/text", response_class=Text)
    async def text() -> AsyncIterator[str]:
        yield "caf\u00e9"
        await asyncio.sleep(0)
        yield "\u65e5"

    @app.get("/status", response_class=StreamingResponse, status_code=200)
    async def status(response: Response) -> AsyncIterator[bytes]:
        yield b"x"

    def headers_of(response: Response) -> None:
        response.headers["X-From"] = "dependency"
        response.set_cookie("a", "1")

    @app.get("/headers", response_class=Text, dependencies=[Depends(headers_of)])
    async def headers() -> AsyncIterator[str]:
        yield "x"

    @app.get("/empty", response_class=StreamingResponse)
    async def empty() -> AsyncIterator[bytes]:
        for part in ():
            yield part

    @app.get("/tasks", response_class=StreamingResponse)
    async def tasks(tasks: BackgroundTasks) -> AsyncIterator[bytes]:
        tasks.add_task(trace, "background")
        yield b"x"
        trace("end")

    return app


@case(
    [(200, get(f"/{kind}")) for kind in ("items", "def", "any", "aliased", "wrong", "raises", "created", "waits")]
    + [(200, post("/sum", json=[{"name": "a", "cost": 2}])), (422, post("/sum", json=[{}])), (401, get("/closed"))]
    + [(200, get("/opened?n=2"))],
    since=("0.134.0", "JSON lines from a generator"),
    wild=False,
)
def generated_lines(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/items")
    async def items() -> AsyncIterator[Item]:
        for n in range(3):
            yield Item(name=str(n), cost=n)

    @app.get("/def")
    def items_def() -> Iterator[Item]:
        yield Item(name="a")
        trace("between", where())
        yield Item(name="b", note="n")

    @app.get("/any")
    async def anything():
        yield {"a": [1, None, "\u00e9"]}
        yield float("inf")

    @app.get("/aliased", response_model_exclude_none=True, response_model_by_alias=False)
    async def aliased() -> AsyncIterator[Item]:
        yield Item(name="a", cost=1)

    @app.get("/wrong")
    async def wrong() -> AsyncIterator[Item]:
        yield Item(name="right")
        yield {"name": 5}  # type: ignore[misc]

    @app.get("/raises")
    async def raises() -> AsyncIterator[int]:
        try:
            yield 1
            raise HTTPException(404)
        finally:
            trace("finally")

    @app.get("/created", status_code=200)
    async def created(response: Response) -> AsyncIterator[int]:
        response.headers["X-Late"] = "the head has not been made yet, but this does not run before"
        yield 1

    @app.get("/waits")
    async def waits() -> AsyncIterator[int]:
        for n in range(3):
            await asyncio.sleep(0.001)
            yield n

    @app.post("/sum")
    async def total(numbers: list[Item]) -> AsyncIterator[float]:
        total = 0.0
        for item in numbers:
            total += item.price
            yield total

    def deny() -> None:
        raise HTTPException(401)

    @app.get("/closed", dependencies=[Depends(deny)])
    async def closed() -> AsyncIterator[int]:
        yield 1

    async def resource(n: int = 1) -> AsyncIterator[list[int]]:
        trace("open")
        yield list(range(n))
        trace("close")

    @app.get("/opened")
    async def opened(numbers: Annotated[list[int], Depends(resource)], request: Request) -> AsyncIterator[Any]:
        for n in numbers:
            trace("line", n)
            yield {"n": n, "path": request.url.path}

    return app


@case(
    [(200, get(f"/{kind}")) for kind in ("items", "def", "events", "opened", "pings", "texts")]
    + [(200, head("/items")), (200, post("/chat", json={"name": "a"})), (422, get("/items?n=9"))],
    since=("0.135.0", "EventSourceResponse"),
    mask=[rb"(: ping\n\n)+"],
    wild=False,
)
def generated_events(trace: Trace) -> FastAPI:
    """What an event stream that raises has sent by then is a race of FastAPI's own tasks: there is none here."""
    from fastapi.sse import EventSourceResponse, ServerSentEvent

    app = FastAPI()

    @app.api_route("/items", methods=["GET", "HEAD"], response_class=EventSourceResponse)
    async def items(n: Annotated[int, Query(le=5)] = 3) -> AsyncIterator[Item]:
        for number in range(n):
            yield Item(name=str(number), note="two\nlines")

    @app.get("/def", response_class=EventSourceResponse)
    def items_def() -> Iterator[dict[str, int]]:
        for n in range(3):
            yield {"n": n}

    @app.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(data={"a": 1}, event="named", id="1", retry=5, comment="a\nb")
        yield ServerSentEvent(raw_data="raw\r\ntext")
        yield ServerSentEvent(data=Item(name="model"))
        yield ServerSentEvent(comment="nothing else")

    async def resource() -> AsyncIterator[str]:
        trace("open")
        yield "r"
        trace("close")

    @app.get("/opened", response_class=EventSourceResponse)
    async def opened(value: Annotated[str, Depends(resource)]) -> AsyncIterator[str]:
        yield value
        await asyncio.sleep(0.001)
        yield value

    @app.get("/pings", response_class=EventSourceResponse)
    async def pings() -> AsyncIterator[int]:
        import fastapi.routing

        normal = fastapi.routing._PING_INTERVAL
        fastapi.routing._PING_INTERVAL = 0.05
        try:
            await asyncio.sleep(0.08)
            yield 1
        finally:
            fastapi.routing._PING_INTERVAL = normal

    @app.get("/texts", response_class=EventSourceResponse)
    async def texts() -> AsyncIterator[str]:
        yield ""
        yield 'a"b'

    @app.post("/chat", response_class=EventSourceResponse)
    async def chat(item: Item) -> AsyncIterator[ServerSentEvent]:
        for word in ("hello", item.name):
            yield ServerSentEvent(data=word, event="word")
        yield ServerSentEvent(event="end")

    return app
