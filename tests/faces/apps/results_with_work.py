"""Responses with background work of their own, where nobody asked for BackgroundTasks; and streams made by threads."""

import asyncio
import contextvars
import io
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio.from_thread
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.background import BackgroundTask, BackgroundTasks

from ..case import case
from ..request import get, head, post
from ..trace import Trace, where

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

KINDS = ["json", "text", "html", "redirect", "empty", "none", "large", "stream", "iterator", "own"]
WORKS = ["sync", "async", "both", "class", "callable", "grows"]


class Loud(BackgroundTask):
    async def __call__(self) -> None:
        self.args[0]("loud", where())
        await super().__call__()


def responses(kind: str, work: Any) -> Response:
    class Own(Response):
        media_type = "application/x-own"

        def render(self, content: Any) -> bytes:
            return repr(content).encode()

    return {
        "json": lambda: JSONResponse({"a": [1]}, background=work),
        "text": lambda: PlainTextResponse("caf\u00e9", 201, {"X-A": "1"}, background=work),
        "html": lambda: HTMLResponse("<p>", background=work),
        "redirect": lambda: RedirectResponse("/elsewhere?a=1", 303, background=work),
        "empty": lambda: Response(background=work),
        "none": lambda: Response(status_code=204, background=work),
        "large": lambda: PlainTextResponse("x" * 100_000, background=work),
        "stream": lambda: StreamingResponse(slowly(), background=work),
        "iterator": lambda: StreamingResponse(iter("abc"), media_type="text/plain", background=work),
        "own": lambda: Own([1, "a"], background=work),
    }[kind]()


async def slowly() -> AsyncIterator[bytes]:
    for n in range(3):
        await asyncio.sleep(0)
        yield b"%d" % n


@case(
    [({200, 201, 204, 303}, get(f"/{way}/{kind}/sync")) for way in ("async", "def", "ends") for kind in KINDS]
    + [(200, get(f"/{way}/json/{work}")) for way in ("async", "def", "ends") for work in WORKS]
    + [(200, get("/async/stream/async")), (200, head("/async/json/both")), (200, get("/def/stream/grows"))]
)
def responses_with_work(trace: Trace) -> FastAPI:
    app = FastAPI()

    def sync(name: str = "sync") -> None:
        trace(name, where(), variable.get())
        variable.set("work")

    async def coroutine(name: str = "async") -> None:
        await asyncio.sleep(0)
        trace(name, where(), variable.get())
        variable.set("async work")

    def make(work: str) -> Any:
        tasks = BackgroundTasks()
        if work in ("both", "grows"):
            tasks.add_task(sync, "first")
            tasks.add_task(coroutine, name="second")
            tasks.add_task(sync, name="third")
        if work == "grows":
            tasks.add_task(tasks.add_task, sync, "added")
        if work == "callable":

            class Any:
                async def __call__(self) -> None:
                    trace("called", where(), variable.get())

            return Any()
        return {
            "sync": BackgroundTask(sync),
            "async": BackgroundTask(coroutine),
            "class": Loud(sync_of, trace),
        }.get(work, tasks)

    def sync_of(trace: Trace) -> None:
        trace("of a class", where())

    @app.api_route("/async/{kind}/{work}", methods=["GET", "HEAD"])
    async def endpoint(kind: str, work: str):
        variable.set("handler")
        return responses(kind, make(work))

    @app.get("/def/{kind}/{work}")
    def endpoint_def(kind: str, work: str):
        variable.set("handler")
        return responses(kind, make(work))

    async def dependency():
        trace("begins")
        yield
        trace("ends", variable.get())

    def sync_dependency():
        trace("sync begins")
        yield
        trace("sync ends")

    @app.get("/ends/{kind}/{work}", dependencies=[Depends(dependency), Depends(sync_dependency)])
    async def endpoint_ends(kind: str, work: str):
        variable.set("handler")
        return responses(kind, make(work))

    return app


@case(
    [
        (status, get(f"/{way}/{how}"))
        for way in ("async", "def")
        for how, status in (("value", 200), ("http", 200), ("known", 200), ("coroutine", 200), ("middle", 200))
    ]
    + [(418, get("/raise/known")), (404, get("/raise/http")), (500, get("/raise/other")), (200, get("/async/stream"))]
    + [(200, get("/fine"))],
    wild=False,
)
def work_that_fails(trace: Trace) -> FastAPI:
    """Handlers of exceptions hear of it, too late; and responses of theirs have work, too."""
    app = FastAPI()

    class Known(Exception):
        pass

    def fail(how: str) -> None:
        trace("fails", how)
        if how == "http":
            raise HTTPException(404)
        if how == "known":
            raise Known(how)
        raise ValueError(how)

    async def fail_async(how: str) -> None:
        fail(how)

    def after(text: str) -> None:
        trace("after", text, where())

    @app.exception_handler(Known)
    def known(request: Request, error: Known):
        trace("known", error, request.url.path, where())
        return PlainTextResponse("known", 418, background=BackgroundTask(after, "known"))

    @app.exception_handler(404)
    async def missing(request: Request, error: HTTPException):
        trace("missing", request.url.path)
        tasks = BackgroundTasks([BackgroundTask(after, "one"), BackgroundTask(fail_async, "of the handler")])
        return JSONResponse("missing", 404, background=tasks)

    @app.exception_handler(500)
    async def last(request: Request, error: Exception):
        trace("last", type(error).__name__)
        return PlainTextResponse("last", 500, background=BackgroundTask(after, "last"))

    def work(how: str) -> BackgroundTask:
        if how == "middle":
            return BackgroundTasks([BackgroundTask(after, "1"), BackgroundTask(fail, how), BackgroundTask(after, "3")])
        return BackgroundTask(fail_async if how == "coroutine" else fail, how)

    @app.get("/fine")
    async def fine():
        return "fine"

    @app.get("/async/{how}")
    async def endpoint(how: str):
        if how == "stream":
            return StreamingResponse(slowly(), background=work(how))
        return JSONResponse(how, background=work(how))

    @app.get("/def/{how}")
    def endpoint_def(how: str):
        return JSONResponse(how, background=work(how))

    @app.get("/raise/{how}")
    async def raises(how: str):
        fail(how)

    return app


STEPS = ["plain", "generator", "text", "empty", "nothing", "views", "file", "own", "list", "slow", "large", "context"]


@case(
    [(200, get(f"/{way}/{kind}")) for way in ("async", "def", "ends") for kind in (*STEPS, "raises", "number", "stop")]
    + [(200, get(f"/{kind}")) for kind in ("loop", "begun", "wrapped", "endpoint", "lines")]
    + [(200, post("/body", json=[1, 2])), (200, head("/async/plain"))],
    wild=False,
)
def streams_of_threads(trace: Trace) -> FastAPI:
    """Starlette steps a sync iterator on threads, each step in a copy of the context."""
    app = FastAPI()

    def generator(*parts: object) -> Iterator[object]:
        trace("begins", where(), variable.get())
        try:
            for part in parts:
                variable.set("step")
                yield part
        finally:
            trace("ends", where(), variable.get())

    def raises() -> Iterator[object]:
        yield b"one"
        yield b"two"
        raise LookupError("three")

    def slow() -> Iterator[object]:
        for n in range(3):
            time.sleep(0.002)
            yield f"{n} "

    def context() -> Iterator[object]:
        for n in range(3):
            yield f"{variable.get()} "
            variable.set(str(n))

    class Own:
        def __init__(self) -> None:
            self._left = 3

        def __iter__(self) -> "Own":
            trace("iter", where())
            return self

        def __next__(self) -> bytes:
            trace("next", where())
            self._left -= 1
            if self._left < 0:
                raise StopIteration("never seen")
            return b"%d" % self._left

    def stops() -> Iterator[object]:
        yield "one"
        raise StopIteration

    def make(kind: str) -> StreamingResponse:
        content: Any = {
            "plain": lambda: iter(["a", "b"]),
            "generator": lambda: generator(b"a", b"b"),
            "text": lambda: generator("caf\u00e9", "\u65e5"),
            "empty": lambda: generator("", "a", b""),
            "nothing": lambda: generator(),
            "views": lambda: generator(memoryview(b"view"), "a"),
            "file": lambda: io.BytesIO(b"line\n" * 3000),
            "own": Own,
            "list": lambda: ["x", b"y"],
            "slow": slow,
            "large": lambda: generator(*[b"%05d" % n * 2000 for n in range(50)]),
            "context": context,
            "raises": raises,
            "number": lambda: iter(["a", 42]),
            "stop": stops,
        }[kind]()
        return StreamingResponse(content, media_type="text/plain")

    def dependency():
        yield
        trace("dependency ends", where())

    @app.api_route("/async/{kind}", methods=["GET", "HEAD"])
    async def stream(kind: str):
        variable.set("handler")
        return make(kind)

    @app.get("/def/{kind}")
    def stream_def(kind: str):
        variable.set("handler")
        return make(kind)

    @app.get("/ends/{kind}", dependencies=[Depends(dependency)])
    async def stream_ends(kind: str):
        variable.set("handler")
        return make(kind)

    @app.get("/loop")
    async def loop():
        async def there() -> str:
            return where()

        def steps() -> Iterator[str]:
            yield where()
            yield anyio.from_thread.run(there)

        return StreamingResponse(steps())

    @app.get("/begun")
    async def begun():
        """Somebody has taken the first chunk already."""
        response = make("generator")
        first = await anext(response.body_iterator)
        response.headers["X-First"] = repr(first)
        return response

    @app.get("/wrapped")
    async def wrapped():
        response = make("generator")
        inner = response.body_iterator

        async def twice() -> AsyncIterator[bytes]:
            async for chunk in inner:
                yield chunk
                yield chunk

        response.body_iterator = twice()
        return response

    @app.get("/endpoint", response_class=StreamingResponse)
    def endpoint():
        yield "a"
        yield "b"

    @app.get("/lines", response_class=PlainTextResponse)
    async def lines():
        return StreamingResponse((f"{n}\n" for n in range(100)), background=BackgroundTask(trace, "work"))

    @app.post("/body")
    async def body(numbers: list[int]):
        return StreamingResponse(str(number) for number in numbers)

    return app
