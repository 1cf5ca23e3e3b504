"""Streams in all their forms: what they may be made of, and how they end."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator

import anyio
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.background import BackgroundTask

from ..case import case
from ..request import get, head, post
from ..trace import Trace, where

KINDS = ["bytes", "text", "views", "empties", "nothing", "iterator", "class", "latin", "waits", "large", "mixed"]


class Latin(StreamingResponse):
    charset = "latin-1"
    media_type = "text/plain"


class Counted:
    """An asynchronous iterable that is no generator."""

    def __init__(self, trace: Trace) -> None:
        self._left = 3
        self._trace = trace

    def __aiter__(self) -> "Counted":
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            self._trace("counted")
            raise StopAsyncIteration
        self._left -= 1
        return b"%d" % self._left


@case([(200, get(f"/{way}/{kind}")) for way in ("async", "def") for kind in KINDS] + [(200, head("/async/text"))])
def streamed_kinds(trace: Trace) -> FastAPI:
    app = FastAPI()

    async def chunks(*parts: object) -> AsyncIterator[object]:
        trace("begins", where())
        for part in parts:
            yield part
        trace("ends")

    async def waits() -> AsyncIterator[bytes]:
        for n in range(4):
            await asyncio.sleep(0 if n % 2 else 0.001)
            trace("woke", n)
            yield b"%d," % n

    def make(kind: str) -> StreamingResponse:
        return {
            "bytes": lambda: StreamingResponse(chunks(b"a", b"\x00\xff", b"c")),
            "text": lambda: StreamingResponse(chunks("caf\u00e9", "\u65e5"), media_type="text/plain"),
            "views": lambda: StreamingResponse(chunks(memoryview(b"view"), memoryview(b"x" * 3000))),
            "empties": lambda: StreamingResponse(chunks(b"", b"a", b"", b"")),
            "nothing": lambda: StreamingResponse(chunks(), status_code=202),
            "iterator": lambda: StreamingResponse(Counted(trace), headers={"X-Of": "iterator"}),
            "class": lambda: StreamingResponse(["x", b"y"], media_type="application/x-list"),
            "latin": lambda: Latin(chunks("caf\u00e9")),
            "waits": waits_response,
            "large": lambda: StreamingResponse(chunks(*[b"%05d" % n * 2000 for n in range(50)])),
            "mixed": lambda: StreamingResponse(chunks("a", b"b", memoryview(b"c"))),
        }[kind]()

    def waits_response() -> StreamingResponse:
        response = StreamingResponse(waits(), media_type="text/event-stream")
        response.set_cookie("a", "1")
        response.headers["Cache-Control"] = "no-cache"
        return response

    @app.api_route("/async/{kind}", methods=["GET", "HEAD"], status_code=200)
    async def stream(kind: str):
        response = make(kind)
        response.status_code = 200
        return response

    @app.get("/def/{kind}")
    def stream_def(kind: str):
        response = make(kind)
        response.status_code = 200
        return response

    return app


BREAKS = ["first", "middle", "number", "handled", "http", "wait", "group"]


@case(
    [(200, get(f"/{kind}")) for kind in BREAKS] + [(200, get("/def")), (200, get("/fine")), (200, get("/late"))],
    wild=False,
)
def streams_that_break_off(trace: Trace) -> FastAPI:
    """The head is out: the connection ends, and handlers of exceptions are too late to answer."""
    app = FastAPI()

    class Known(Exception):
        pass

    @app.exception_handler(Known)
    async def known(request: Request, error: Known):
        trace("known", error)
        return PlainTextResponse("never seen", 418)

    @app.exception_handler(500)
    async def last(request: Request, error: Exception):
        trace("last", type(error).__name__, request.url.path)
        return PlainTextResponse("never seen", 500)

    async def breaks(kind: str) -> AsyncIterator[object]:
        try:
            if kind == "first":
                raise RuntimeError(kind)
            yield b"begun "
            if kind == "number":
                yield 42
            if kind == "handled":
                raise Known(kind)
            if kind == "http":
                raise HTTPException(404)
            if kind == "wait":
                await asyncio.sleep(0.001)
                raise ValueError(kind)
            if kind == "group":
                raise ExceptionGroup(kind, [ValueError(1)])
            raise RuntimeError(kind)
        finally:
            if kind != "number":  # it stands at its yield, and ends when it is garbage
                trace("finally", kind)

    @app.get("/fine")
    async def fine():
        return "fine"

    @app.get("/def")
    def from_thread():
        def body() -> Iterator[bytes]:
            yield b"begun"
            trace("raises")
            raise OSError

        return StreamingResponse(body())

    @app.get("/late")
    async def late():
        """A background task comes after the end."""
        return StreamingResponse(iter([b"a"]), background=BackgroundTask(trace, "background"))

    @app.get("/{kind}")
    async def stream(kind: str):
        return StreamingResponse(breaks(kind))

    return app


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@case(
    [(200, get(f"/{name}")) for name in ("context", "tasks", "request?n=2", "scopes", "nested", "timeout", "subclass")]
    + [(200, post("/body", json=[1, 2]))],
    wild=False,
)
def streams_and_their_surroundings(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/context")
    async def context():
        variable.set("handler")

        async def body() -> AsyncIterator[str]:
            yield variable.get()
            variable.set("stream")
            await asyncio.sleep(0)
            yield variable.get()

        return StreamingResponse(body())

    @app.get("/tasks")
    async def tasks(tasks: BackgroundTasks, response: Response):
        variable.set("handler")

        async def body() -> AsyncIterator[str]:
            variable.set("stream")
            yield variable.get()
            trace("end of stream")

        def work() -> None:
            trace("work", variable.get())

        tasks.add_task(work)
        response.headers["X-Lost"] = "1"
        return StreamingResponse(body())

    @app.get("/request")
    async def request(request: Request, n: int):
        async def body() -> AsyncIterator[str]:
            for number in range(n):
                if await request.is_disconnected():
                    break
                yield f"{number} {request.url.path} "

        return StreamingResponse(body())

    @app.post("/body")
    async def body(numbers: list[int], request: Request):
        async def echo() -> AsyncIterator[bytes]:
            yield await request.body()
            yield b"%d" % sum(numbers)

        return StreamingResponse(echo())

    @app.get("/scopes")
    async def scopes():
        async def body() -> AsyncIterator[str]:
            with anyio.move_on_after(0.001) as scope:
                await anyio.sleep(5)
            yield f"cancelled {scope.cancelled_caught}"
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 0)
            yield " group"

        return StreamingResponse(body())

    @app.get("/nested")
    async def nested():
        async def inner() -> AsyncIterator[int]:
            for n in range(3):
                yield n

        async def body() -> AsyncIterator[str]:
            async for n in inner():
                yield str(n)

        return StreamingResponse(body())

    @app.get("/timeout")
    async def timeout():
        async def body() -> AsyncIterator[str]:
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.sleep(5)
            except TimeoutError:
                yield "timeout"
            task = asyncio.current_task()
            yield f" {task is not None and task.cancelling()}"

        return StreamingResponse(body())

    @app.get("/subclass")
    async def subclass():
        class Loud(StreamingResponse):
            async def stream_response(self, send):
                trace("own stream")
                await super().stream_response(send)

        return Loud(iter([b"loud"]))

    return app
