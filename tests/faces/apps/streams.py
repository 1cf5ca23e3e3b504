"""Answers that are more than bytes: streams, files, events."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.responses import FileResponse, StreamingResponse

from ..case import case
from ..request import get, head, post
from ..trace import Trace


@case(
    [(200, get(path)) for path in ("/async", "/sync", "/endless", "/empty", "/text", "/one")]
    + [(200, head("/async")), (200, get("/big")), (404, get("/nowhere")), (200, get("/async"))]
    + [(200, get("/breaks")), (500, get("/fails")), (200, get("/length")), (200, get("/after"))],
)
def streaming(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.api_route("/async", methods=["GET", "HEAD"])
    async def stream():
        async def body() -> AsyncIterator[bytes]:
            for number in range(5):
                trace("chunk", number)
                yield b"chunk %d\n" % number

        return StreamingResponse(body(), media_type="text/plain")

    @app.get("/sync")
    def stream_sync():
        def body() -> Iterator[str]:
            for number in range(3):
                yield f"\u00e9{number}"

        return StreamingResponse(body(), headers={"X-Stream": "1"})

    @app.get("/endless")
    async def empties():
        return StreamingResponse(iter([b"a", b"", b"b", b""]), status_code=200)

    @app.get("/empty")
    async def empty():
        return StreamingResponse(iter(()))

    @app.get("/text")
    async def text():
        return StreamingResponse(iter(["only ", "text"]), media_type="text/html")

    @app.get("/one")
    async def one():
        return StreamingResponse(iter([b"one"]), headers={"ETag": '"1"'})

    @app.get("/big")
    async def big():
        return StreamingResponse((bytes([n]) * 50_000 for n in range(60)), media_type="application/octet-stream")

    @app.get("/breaks")
    async def breaks():
        async def body() -> AsyncIterator[bytes]:
            yield b"begun"
            trace("breaks")
            raise RuntimeError("in the middle")

        return StreamingResponse(body())

    @app.get("/fails")
    async def fails():
        raise RuntimeError("before the first byte")

    @app.get("/length")
    async def length():
        return StreamingResponse(iter([b"12", b"34"]), headers={"Content-Length": "4"})

    @app.get("/after")
    async def after():
        from starlette.background import BackgroundTask

        return StreamingResponse(iter([b"x"]), background=BackgroundTask(trace, "background"))

    return app


@case(
    [
        (200, get("/file")),
        ({200, 206}, get("/file", {"Range": "bytes=2-5"})),
        ({200, 416}, get("/file", {"Range": "bytes=900-"})),
        ({200, 206}, get("/file", {"Range": "bytes=0-1,4-5"})),
        (200, get("/named")),
        (200, head("/file")),
        (500, get("/missing")),
        (200, get("/big")),
        (200, get("/empty")),
    ],
    mask=[rb"boundary=[0-9a-f]+", rb"--[0-9a-f]{20,}"],
    wild=False,
)
def files(trace: Trace) -> FastAPI:
    place = Path()

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        nonlocal place
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "text.txt").write_text("0123456789")
            (place / "big.bin").write_bytes(bytes(range(256)) * 2000)
            (place / "empty").write_bytes(b"")
            for file in place.iterdir():
                os.utime(file, (1_700_000_000, 1_700_000_000))
            yield

    app = FastAPI(lifespan=lifespan)

    @app.api_route("/file", methods=["GET", "HEAD"])
    async def file():
        return FileResponse(place / "text.txt")

    @app.get("/named")
    def named():
        return FileResponse(place / "text.txt", filename="caf\u00e9.txt", headers={"X-File": "1"})

    @app.get("/missing")
    async def missing():
        return FileResponse(place / "none.txt")

    @app.get("/big", response_class=FileResponse)
    async def big():
        return place / "big.bin"

    @app.get("/empty")
    async def empty():
        return FileResponse(place / "empty", media_type="application/x-empty")

    return app


@case(
    [
        (200, get("/items")),
        (200, get("/plain")),
        (200, post("/echo", {"Content-Type": "application/json"}, body=b"[1,2]")),
    ],
    since=("0.134.0", "JSON lines from a generator"),
)
def json_lines(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/items")
    async def items() -> AsyncIterator[dict[str, int]]:
        for number in range(3):
            trace("item", number)
            yield {"n": number}

    @app.get("/plain")
    def plain() -> Iterator[int]:
        yield from range(3)

    @app.post("/echo")
    async def echo(n: list[int]):
        return n

    return app


@case(
    [
        (200, get("/async")),
        (200, get("/sync")),
        (200, get("/events")),
        (422, get("/async?count=x")),
        (404, get("/none")),
    ],
    since=("0.135.0", "EventSourceResponse"),
)
def server_sent_events(trace: Trace) -> FastAPI:
    from fastapi.sse import EventSourceResponse, ServerSentEvent

    app = FastAPI()

    @app.get("/async", response_class=EventSourceResponse)
    async def stream(count: Annotated[int, Query(ge=0, le=5)] = 3) -> AsyncIterator[dict[str, int]]:
        for number in range(count):
            trace("event", number)
            yield {"n": number}

    @app.get("/sync", response_class=EventSourceResponse)
    def stream_sync() -> Iterator[str]:
        yield "a\nb"
        yield "c"

    @app.get("/events", response_class=EventSourceResponse)
    async def events() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(data={"a": 1}, event="named", id="1", retry=5, comment="c")

    return app
