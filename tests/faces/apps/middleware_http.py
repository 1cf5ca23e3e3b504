"""BaseHTTPMiddleware around every kind of route: what it sees, what it changes, and the order of it all."""

import asyncio
from contextvars import ContextVar
from typing import Any

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware

from ..case import Settled, case
from ..request import get, head, options, post
from ..trace import Trace, where

who: ContextVar[str] = ContextVar("who", default="nobody")


class Item(BaseModel):
    name: str
    price: float


class Teapot(Exception):
    pass


def routes(app: FastAPI, trace: Trace) -> FastAPI:
    """One route of each kind."""

    def user(request: Request) -> str:
        trace("dependency", who.get(), where())
        return getattr(request.state, "user", "no user")

    @app.get("/async")
    async def plain(n: int = 1):
        trace("async", n, who.get(), where())
        who.set("route")
        return {"n": n}

    @app.get("/sync")
    def sync(n: int = 1):
        trace("sync", n, who.get(), where())
        who.set("route")
        return {"n": n}

    @app.get("/waits")
    async def waits():
        trace("begins")
        await asyncio.sleep(0.001)
        trace("ends")
        return "waited"

    @app.get("/items/{item_id}")
    async def item(item_id: int, request: Request, user: str = Depends(user)):
        request.state.item = item_id
        trace("path", request.url.path, sorted(request.path_params.items()))
        return {"item": item_id, "user": user, "more": request.headers.get("x-more")}

    @app.post("/items")
    async def create(item: Item):
        trace("create", item.name)
        return item

    @app.post("/sync-items", response_model=Item, status_code=201)
    def create_sync(item: Item):
        return {"name": item.name, "price": item.price, "secret": 1}

    @app.post("/raw")
    async def raw(request: Request):
        return {"body": (await request.body()).decode(), "again": (await request.body()).decode()}

    @app.get("/stream")
    async def stream():
        async def chunks() -> Any:
            for number in range(3):
                trace("chunk", number)
                yield f"{number},"

        return StreamingResponse(chunks(), media_type="text/plain", background=BackgroundTask(trace, "stream is sent"))

    @app.get("/broken-stream")
    async def broken_stream():
        async def chunks() -> Any:
            yield "a"
            raise RuntimeError("in the stream")

        return StreamingResponse(chunks())

    @app.get("/task")
    async def task(tasks: BackgroundTasks):
        tasks.add_task(trace, "background")
        trace("route")
        return "soon"

    @app.get("/redirect")
    async def redirect():
        return RedirectResponse("/async")

    @app.get("/nothing", status_code=204)
    async def nothing() -> None:
        return None

    @app.get("/bare")
    async def bare():
        return Response(status_code=304)

    @app.get("/cookie")
    async def cookie(response: Response):
        response.set_cookie("a", "1")
        response.status_code = 202
        return "set"

    @app.get("/http-error")
    async def http_error():
        raise HTTPException(418, "short", {"X-Pot": "1"})

    @app.get("/teapot")
    async def teapot():
        raise Teapot

    @app.get("/fails")
    async def fails():
        raise RuntimeError("fails")

    @app.get("/sync-fails")
    def sync_fails():
        raise ValueError("sync fails")

    @app.get("/stops")
    def stops():
        raise StopIteration

    @app.get("/wrong", response_model=Item)
    async def wrong():
        return {"name": 1}

    @app.get("/{tail:path}/tail")
    async def tail(tail: str):
        return tail

    @app.exception_handler(Teapot)
    async def handle(request: Request, exc: Teapot):
        trace("handler", who.get())
        return PlainTextResponse("teapot", 418)

    return app


TASK = (200, get("/task"))
ASKS: list[Any] = [
    (200, get("/async?n=2")),
    (200, get("/sync?n=3")),
    (200, get("/waits")),
    (200, get("/items/5", {"X-More": "yes"})),
    (200, post("/items", json={"name": "a", "price": 1})),
    (201, post("/sync-items", json={"name": "a", "price": 1})),
    (200, post("/raw", body=b"some text")),
    (200, post("/raw", body=b"some more text", chunks=[4, 4])),
    (200, get("/stream")),
    TASK,
    (307, get("/redirect")),
    (204, get("/nothing")),
    (304, get("/bare")),
    (202, get("/cookie")),
    (418, get("/http-error")),
    (418, get("/teapot")),
    (500, get("/fails")),
    (500, get("/sync-fails")),
    (500, get("/stops")),
    (500, get("/wrong")),
    (200, get("/a/b/tail")),
    (422, get("/async?n=x")),
    (422, get("/items/x")),
    (422, post("/items", json={"name": "a"})),
    (422, post("/items", body=b"{", headers={"Content-Type": "application/json"})),
    (404, get("/nowhere")),
    (405, post("/async")),
    (307, get("/async/")),
    (405, head("/async")),
    (200, get("/openapi.json")),
    (200, get("/async")),
]
KEPT = [Settled(200, get("/async")), Settled(200, get("/sync")), Settled(200, get("/items/7"))]
STREAMS = ["GET /stream", "GET /broken-stream", "GET /task"]


def with_middleware(trace: Trace, *functions: Any, **options: Any) -> FastAPI:
    """The routes under functions as `@app.middleware("http")`; the last is the outermost."""
    app = FastAPI(**options)
    for function in functions:
        app.middleware("http")(function)
    return routes(app, trace)


@case([*ASKS, *KEPT, (200, get("/broken-stream"))], fallback=STREAMS)
def sees_route_and_state(trace: Trace) -> FastAPI:
    async def note(request: Request, call_next: Any):
        trace("before", request.method, request.url.path, "route" in request.scope)
        request.state.user = "anna"
        response = await call_next(request)
        response.headers["X-Route"] = getattr(request.scope.get("route"), "path", "none")
        trace("after", response.status_code, type(response).__name__, getattr(request.state, "item", "no item"))
        trace(
            sorted(request.scope.get("path_params", {}).items()), getattr(request.scope.get("endpoint"), "__name__", 0)
        )
        trace("router" in request.scope, "app" in request.scope, response.media_type, response.background)
        return response

    return with_middleware(trace, note)


def stacked(trace: Trace) -> list[Any]:
    """Three dispatch functions that tell when they begin and end."""

    def named(name: str) -> Any:
        async def note(request: Request, call_next: Any):
            trace(name, "in", who.get(), where())
            who.set(name)
            response = await call_next(request)
            trace(name, "out", who.get(), response.status_code)
            response.headers.append("X-By", name)
            return response

        return note

    return [named("inner"), named("middle"), named("outer")]


@case([step for step in [*ASKS, *KEPT] if step != TASK], fallback=STREAMS)
def stacked_in_order(trace: Trace) -> FastAPI:
    app = with_middleware(trace, *stacked(trace))
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", "") != "/task"]
    return app


# Before, a task's thread begins while the answer still goes through the outer ones: nobody says which is first.
@case([TASK, TASK, (200, get("/async"))], fallback=STREAMS, since=("0.136.0", "tasks that wait for the whole stack"))
def stacked_around_tasks(trace: Trace) -> FastAPI:
    return with_middleware(trace, *stacked(trace))


@case([*ASKS, *KEPT], fallback=STREAMS)
def answers_itself(trace: Trace) -> FastAPI:
    async def instead(request: Request, call_next: Any):
        response = await call_next(request)
        trace("replaces", response.status_code)
        return JSONResponse({"was": response.status_code}, response.status_code or 200)

    async def never(request: Request, call_next: Any):
        if "never" in request.query_params:
            return PlainTextResponse("never", background=BackgroundTask(trace, "after never"))
        return await call_next(request)

    return with_middleware(trace, instead, never)


@case(
    [
        *ASKS,
        *KEPT,
        (200, get("/async?how=join")),
        (200, get("/stream?how=join")),
        (200, get("/async?how=wrap")),
        (200, get("/stream?how=wrap")),
        (200, get("/async?how=half")),
        (200, get("/async?how=drop-length")),
        (201, get("/async?how=status")),
        (200, get("/async?how=background")),
        (204, get("/async?how=204")),
        (200, get("/async?how=new-headers")),
        (200, get("/sync?how=drop")),
    ],
    fallback=STREAMS,
)
def edits_the_body(trace: Trace) -> FastAPI:
    async def edit(request: Request, call_next: Any):
        how = request.query_params.get("how")
        response = await call_next(request)
        if how == "join":
            body = b"".join([chunk async for chunk in response.body_iterator])
            trace("body", body)
            return Response(body.upper(), response.status_code, {"X-Joined": "1"})
        if how == "wrap":
            before = response.body_iterator

            async def twice() -> Any:
                async for chunk in before:
                    yield chunk
                    yield b"|"

            response.body_iterator = twice()
            del response.headers["content-length"]
        if how == "half":
            trace("first", await response.body_iterator.__anext__())
            del response.headers["content-length"]
        if how == "drop":
            response.body_iterator = iter_of([b"[]"])
            response.headers["content-length"] = "2"
        if how == "drop-length":
            del response.headers["content-length"]
        if how == "status":
            response.status_code = 201
        if how == "204":
            response.status_code = 204
            del response.headers["content-length"]
        if how == "background":
            response.background = BackgroundTask(trace, "its own background")
        if how == "new-headers":
            length = [(name, value) for name, value in response.raw_headers if name == b"content-length"]
            response.raw_headers = [*length, (b"x-only", b"1")]
        return response

    async def iter_of(chunks: list[bytes]) -> Any:
        for chunk in chunks:
            yield chunk

    return with_middleware(trace, edit)


@case(
    [
        *[
            (200, get(f"{path}?how={how}"))
            for path in ("/async", "/sync", "/stream")
            for how in (
                "add",
                "replace",
                "twice",
                "drop",
                "update",
                "cookie",
                "list",
                "raw-first",
                "raw-late",
                "look",
            )
        ],
        *[(500, get(f"/async?how={how}")) for how in ("no-latin", "no-text", "no-name")],
        (202, get("/cookie?how=replace")),
    ],
    fallback=STREAMS,
)
def edits_the_headers(trace: Trace) -> FastAPI:
    async def edit(request: Request, call_next: Any):
        how = request.query_params["how"]
        response = await call_next(request)
        if how == "raw-first":
            response.raw_headers = [*response.raw_headers, (b"x-raw", b"1")]
        headers = response.headers
        if how == "add":
            headers["X-Added"] = headers["x-aDDed-Too"] = "\xfc"
        if how == "replace":
            headers["Content-TYPE"] = headers["set-cookie"] = "text/plain"
        if how == "twice":
            headers.append("X-A", "1")
            headers.append("x-b", "2")
            headers.append("x-a", "3")
            headers["X-A"] = "4"
        if how == "drop":
            del headers["content-type"]
            headers.setdefault("x-a", "1")
        if how == "update":
            headers.update({"x-a": "1", "Content-Type": "a/b"})
            headers.add_vary_header("Origin")
        if how == "cookie":
            response.set_cookie("b", "2")
        if how == "raw":
            headers.raw.append((b"x-raw", b"1"))
        if how == "raw-late":
            response.raw_headers = [*response.raw_headers, (b"x-raw", b"1")]
            headers["X-Lost"] = "1"
        if how == "look":
            trace(type(response).__name__, type(response).__module__, isinstance(response, Response))
            trace(hasattr(response, "body"), response.body_iterator is response.body_iterator, dict(headers))
        if how == "no-latin":
            headers["X-A"] = "\u20ac"
        if how == "no-text":
            headers["X-A"] = 1
        if how == "no-name":
            headers["X-\u20ac"] = "1"
        headers["X-Last"] = "1"
        return response

    return with_middleware(trace, edit, edit)


@case(
    [
        (500, get("/async?when=before")),
        (500, get("/async?when=after")),
        (500, get("/stream?when=after")),
        (500, get("/waits?when=before")),
        (500, get("/task?when=after")),
        (409, get("/async?when=http")),
        (500, get("/fails?when=after")),
        (503, get("/fails?when=rescue")),
        (503, get("/sync-fails?when=rescue")),
        (418, get("/teapot?when=rescue")),
        (503, get("/wrong?when=rescue")),
        *ASKS,
        *KEPT,
    ],
    fallback=STREAMS,
)
def raises(trace: Trace) -> FastAPI:
    async def fail(request: Request, call_next: Any):
        when = request.query_params.get("when")
        if when == "before":
            raise RuntimeError("before")
        if when == "http":
            raise HTTPException(409, "not handled out here")
        try:
            response = await call_next(request)
        except Exception as error:
            trace("caught", type(error).__name__, type(error.__cause__).__name__)
            if when == "rescue":
                return PlainTextResponse("rescued", 503)
            raise
        finally:
            trace("finally")
        if when == "after":
            raise RuntimeError("after")
        return response

    async def outer(request: Request, call_next: Any):
        try:
            return await call_next(request)
        except HTTPException as error:
            return PlainTextResponse("outside", error.status_code)

    return with_middleware(trace, fail, outer)


@case([(500, get("/async")), (500, get("/fails")), (418, get("/teapot")), (404, get("/nowhere"))], fallback=STREAMS)
def handler_of_all_errors(trace: Trace) -> FastAPI:
    async def fail(request: Request, call_next: Any):
        response = await call_next(request)
        if response.status_code < 400:
            raise RuntimeError("after")
        return response

    app = with_middleware(trace, fail)

    @app.exception_handler(Exception)
    async def last(request: Request, exc: Exception):
        trace("last", type(exc).__name__, request.url.path, who.get())
        return JSONResponse({"error": str(exc)}, 500)

    return app


@case([*ASKS, *KEPT, (200, get("/broken-stream"))], fallback=STREAMS)
def handlers_inside(trace: Trace) -> FastAPI:
    """The application's handlers answer inside of the middleware, which sees their answers."""

    async def note(request: Request, call_next: Any):
        response = await call_next(request)
        trace("sees", response.status_code, response.headers.get("x-handled"))
        return response

    app = with_middleware(trace, note)

    @app.exception_handler(HTTPException)
    def http(request: Request, exc: HTTPException):
        trace("http handler", where())
        return JSONResponse({"handled": exc.detail}, exc.status_code, {"X-Handled": "http"})

    @app.exception_handler(RuntimeError)
    async def runtime(request: Request, exc: RuntimeError):
        return StreamingResponse(iter(["run", "time"]), 500, {"X-Handled": "runtime"})

    @app.exception_handler(ValueError)
    async def value(request: Request, exc: ValueError):
        raise KeyError("in the handler")

    return app


BODY = {"name": "a", "price": 1}


@case(
    [
        *[(200, post(f"/items?read={how}", json=BODY)) for how in ("body", "json", "after", "no")],
        (422, post("/items?read=stream", json=BODY)),
        (201, post("/sync-items?read=body", json=BODY)),
        *[(200, post(f"/raw?read={how}", body=b"abc" * 50)) for how in ("body", "stream", "after", "no")],
        (200, post("/raw?read=body", body=b"abc" * 50, chunks=[10] * 5)),
        (422, post("/items?read=body", json={})),
        (200, post("/items?read=twice", json=BODY)),
        (200, get("/async?read=body")),
        (200, get("/stream?read=gone")),
    ],
    fallback=STREAMS,
)
def reads_the_body(trace: Trace) -> FastAPI:
    async def read(request: Request, call_next: Any):
        how = request.query_params.get("read")
        if how in ("body", "twice"):
            trace("body", await request.body())
        if how == "json":
            trace("json", await request.json())
        if how == "stream":
            trace("stream", [chunk async for chunk in request.stream()])
        response = await call_next(request)
        if how == "after":
            try:
                trace("after", await request.body())
            except RuntimeError as error:
                trace("after", error)
        if how == "gone":
            trace("gone", await request.is_disconnected())
        return response

    return with_middleware(trace, read, read)


@case(
    [
        (200, get("/alias")),
        (200, get("/async?to=sync")),
        (404, get("/async?to=nowhere")),
        (200, get("/async?q=7")),
        (200, get("/items/1?h=1")),
        (405, get("/async?m=1")),
        (200, get("/async?root=1")),
        (200, get("/items/1?c=1")),
        *ASKS,
        *KEPT,
    ],
    fallback=STREAMS,
)
def edits_the_scope(trace: Trace) -> FastAPI:
    async def edit(request: Request, call_next: Any):
        scope, query = request.scope, request.query_params
        if scope["path"] == "/alias":
            scope["path"] = "/async"
        if "to" in query:
            scope["path"] = "/" + query["to"]
        if "q" in query:
            scope["query_string"] = b"n=77"
        if "h" in query:
            scope["headers"].append((b"x-more", b"added"))
        if "m" in query:
            scope["method"] = "POST"
        if "root" in query:
            scope["root_path"] = "/proxy"
        if "c" in query:
            scope["client"] = ("1.2.3.4", 5)
        response = await call_next(request)
        trace(getattr(scope.get("route"), "path", None))
        return response

    return with_middleware(trace, edit)


@case(
    [
        ({200, 500}, get("/async?retry=1")),
        ({200, 500}, get("/sync?retry=1")),
        (500, get("/fails?retry=1")),
        ({200, 500}, get("/stream?retry=1")),
        (200, get("/async?task=1")),
        (200, get("/waits?task=1")),
        (200, get("/async?timeout=1")),
        (504, get("/slow?timeout=1")),
        (200, get("/async")),
    ],
    fallback=STREAMS,
)
def unusual_calls(trace: Trace) -> FastAPI:
    async def strange(request: Request, call_next: Any):
        query = request.query_params
        if "retry" in query:
            try:
                await call_next(request)
            except RuntimeError as error:
                trace("first", error)
            try:
                return await call_next(request)
            except Exception as error:
                trace("second", type(error).__name__)
                raise
        if "task" in query:
            return await asyncio.create_task(call_next(request))
        if "timeout" in query:
            try:
                return await asyncio.wait_for(call_next(request), 0.02)
            except TimeoutError:
                trace("timeout")
                return PlainTextResponse("too slow", 504)
        return await call_next(request)

    app = with_middleware(trace, strange)

    @app.get("/slow")
    async def slow():
        try:
            await asyncio.sleep(0.1)
            trace("slow ends")
        except asyncio.CancelledError:
            trace("slow is cancelled")
            raise
        return "slow"

    return app


@case([*ASKS, *KEPT, (401, get("/async?stop=1")), (401, get("/nowhere?stop=1"))], fallback=STREAMS, steady=False)
def classes_with_state(trace: Trace) -> FastAPI:
    class Count(BaseHTTPMiddleware):
        def __init__(self, app: Any, name: str) -> None:
            super().__init__(app)
            self.name, self.count = name, 0

        async def dispatch(self, request: Request, call_next: Any):
            self.count += 1
            trace(self.name, self.count)
            if "stop" in request.query_params:
                return JSONResponse("stopped", 401)
            response = await call_next(request)
            response.headers[f"X-{self.name}"] = str(self.count)
            return response

    app = FastAPI()
    app.add_middleware(Count, name="A")
    app.add_middleware(Count, name="B")
    return routes(app, trace)


@case([*ASKS, *KEPT], fallback=["*"])
def class_with_its_own_call(trace: Trace) -> FastAPI:
    class Own(BaseHTTPMiddleware):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            trace("call", scope["type"])
            await super().__call__(scope, receive, send)

        async def dispatch(self, request: Request, call_next: Any):
            trace("dispatch")
            return await call_next(request)

    app = FastAPI()
    app.add_middleware(Own)
    return routes(app, trace)


@case([(500, get("/async")), (500, get("/stream")), (500, get("/task")), (500, get("/fails"))], fallback=STREAMS)
def returns_nothing(trace: Trace) -> FastAPI:
    async def nothing(request: Request, call_next: Any):
        await call_next(request)
        trace("returns nothing")

    return with_middleware(trace, nothing)


@case([*ASKS, (500, get("/async?fail=1"))], fallback=STREAMS, mask=[rb"(?s)<.*>", rb"(?s)Traceback.*", rb"\d+"])
def debug_pages(trace: Trace) -> FastAPI:
    async def fail(request: Request, call_next: Any):
        if "fail" in request.query_params:
            raise RuntimeError("debug")
        return await call_next(request)

    return with_middleware(trace, fail, debug=True)


@case(
    [(200, get("/docs")), (200, options("/async?x=1")), (200, get("/sub/async")), (200, get("/sub/items/3"))],
    fallback=["*"],
)
def mounted_with_its_own(trace: Trace) -> FastAPI:
    def named(name: str) -> Any:
        async def note(request: Request, call_next: Any):
            trace(name, request.url.path, request.scope.get("root_path"))
            response = await call_next(request)
            response.headers.append("X-By", name)
            return Response(status_code=200) if request.method == "OPTIONS" else response

        return note

    app = with_middleware(trace, named("outer"))
    app.mount("/sub", with_middleware(trace, named("inner")))
    return app
