"""Response classes of others and of the application's own, as what a route makes or gives back."""

import http
import uuid
from collections.abc import Callable
from typing import Any

import orjson
import ujson
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask

from ..case import case
from ..request import get, head, post
from ..trace import Trace, where


class Quick(JSONResponse):
    """What FastAPI's ORJSONResponse was."""

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)


class Other(JSONResponse):
    media_type = "application/vnd.other+json"

    def render(self, content: Any) -> bytes:
        return ujson.dumps(content, ensure_ascii=False).encode()


class Item(BaseModel):
    id: uuid.UUID = uuid.UUID(int=7)
    name: str = "caf\u00e9"
    price: float = 1.5


VALUES: dict[str, Callable[[], Any]] = {
    "dict": lambda: {"a": 1, "b": [None, True, 1.5]},
    "keys": lambda: {1: "a", None: "b"},
    "nan": lambda: [float("nan"), float("inf")],
    "model": Item,
    "models": lambda: {"items": [Item(), Item(name="x")]},
    "large": lambda: 2**70,
    "surrogate": lambda: "\ud800",
    "tuple": lambda: (1, {2}),
    "uuid": lambda: uuid.UUID(int=5),
}


@case(
    [({200, 500}, get(f"/{way}/{name}")) for way in ("orjson", "ujson", "given", "default", "def") for name in VALUES]
    + [(200, get("/modelled")), (201, post("/made")), (405, head("/default/dict"))]
)
def other_json(trace: Trace) -> FastAPI:
    app = FastAPI(default_response_class=Quick)

    @app.get("/orjson/{name}", response_class=Quick)
    async def by_orjson(name: str):
        return VALUES[name]()

    @app.get("/ujson/{name}", response_class=Other)
    async def by_ujson(name: str):
        return VALUES[name]()

    @app.get("/given/{name}")
    async def given(name: str):
        return Quick(VALUES[name]())

    @app.get("/default/{name}")
    async def default(name: str):
        return VALUES[name]()

    @app.get("/def/{name}")
    def default_def(name: str, response: Response):
        response.headers["X-Way"] = "def"
        return VALUES[name]()

    @app.get("/modelled", response_model=list[Item])
    async def modelled():
        return [{"name": "a"}, Item(name="b")]

    @app.post("/made", status_code=201, response_model=Item, response_model_exclude={"id"})
    def made(response: Response):
        response.set_cookie("a", "1")
        return Item()

    return app


OWN = ["render", "headers", "call", "coroutine", "body", "shared", "status", "enum", "raw", "memory", "text", "wrapped"]


@case(
    [({200, 201, 202, 418}, get(f"/{way}/{kind}")) for way in ("async", "def") for kind in OWN]
    + [(200, get("/shared")), (200, get("/shared")), (200, get("/class/7")), (200, get("/called/7"))]
    + [(500, get(f"/broken/{kind}")) for kind in ("render", "call")]
    + [(200, get("/async/body")), (201, head("/async/call"))],
    wild=False,
)
def classes_of_the_application(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Rendered(Response):
        media_type = "text/x-rendered"
        charset = "latin-1"

        def render(self, content: Any) -> bytes:
            trace("render", where())
            return f"<{content}>".encode(self.charset)

    class Headed(JSONResponse):
        def init_headers(self, headers: Any = None) -> None:
            trace("headers")
            super().init_headers({**(headers or {}), "X-Made": "here"})
            self.raw_headers.append((b"x-made", b"twice"))

    class Called(Response):
        def __init__(self, content: Any = None, status_code: int = 201, **more: Any) -> None:
            super().__init__(str(content), status_code, **more)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            trace("call", scope["path"], where())
            await send({"type": "http.response.start", "status": self.status_code, "headers": [(b"x-by", b"call")]})
            await send({"type": "http.response.body", "body": b"one ", "more_body": True})
            await send({"type": "http.response.body", "body": self.body})
            if self.background is not None:
                await self.background()

    class Plain(PlainTextResponse):
        def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
            """No coroutine function, but something to await."""
            trace("plain")
            return super().__call__(scope, receive, send)

    shared = JSONResponse({"shared": True})

    def make(kind: str) -> Response:
        return {
            "render": lambda: Rendered("caf\u00e9"),
            "headers": lambda: Headed({"a": 1}, headers={"X-Given": "1"}),
            "call": lambda: Called("two", background=BackgroundTask(trace, "background", "of its own")),
            "coroutine": lambda: Plain("plain", 202),
            "body": late_body,
            "shared": lambda: shared,
            "status": lambda: PlainTextResponse("teapot", 418),
            "enum": lambda: PlainTextResponse("enum", http.HTTPStatus.ACCEPTED),
            "raw": raw,
            "memory": lambda: Response(memoryview(b"memory"), media_type="text/plain"),
            "text": lambda: HTMLResponse("<p>\u65e5"),
            "wrapped": lambda: wrapped(PlainTextResponse("inner")),
        }[kind]()

    def late_body() -> Response:
        response = PlainTextResponse("before")
        response.body = b"afterwards"
        response.headers["content-length"] = "10"
        return response

    def raw() -> Response:
        response = PlainTextResponse("raw")
        response.raw_headers = [(b"Content-Length", b"3"), (b"X-Twice", b"1"), (b"x-twice", b"2")]
        return response

    def wrapped(inner: Response) -> Response:
        class Wrapped(Response):
            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                async def other(message: Any) -> None:
                    if message["type"] == "http.response.start":
                        message["headers"].append((b"x-wrapped", b"1"))
                    await send(message)

                await inner(scope, receive, other)

        return Wrapped()

    @app.api_route("/async/{kind}", methods=["GET", "HEAD"], status_code=203)
    async def endpoint(kind: str):
        return make(kind)

    @app.get("/def/{kind}")
    def endpoint_def(kind: str):
        return make(kind)

    @app.get("/shared")
    async def share():
        shared.headers["x-times"] = str(int(shared.headers.get("x-times", 0)) + 1)
        return shared

    @app.get("/class/{n}", response_class=Rendered)
    async def by_class(n: int):
        return n

    @app.get("/called/{n}", response_class=Called, status_code=200)
    def by_called(n: int):
        return n

    @app.get("/broken/{kind}")
    async def broken(kind: str):
        class Broken(Response):
            def render(self, content: Any) -> bytes:
                raise ValueError("render")

        if kind == "render":
            return Broken(1)

        class Silent(Response):
            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                raise LookupError("before anything was sent")

        return Silent()

    return app


@case(
    [(418, get(f"/{kind}/{how}")) for how in ("raise", "yield", "yield-sync")
     for kind in ("stream", "steps", "file", "own", "work", "value")]
    + [(500, get("/none/raise")), (200, get("/fine"))],
    wild=False,
)  # fmt: skip
def handlers_of_exceptions_that_send(trace: Trace) -> FastAPI:
    """What an exception handler gives back may be any response."""
    app = FastAPI()

    class Failed(Exception):
        pass

    def make(kind: str) -> Any:
        async def chunks():
            trace("stream", where())
            yield b"one "
            yield b"two"

        def steps():
            trace("steps", where())
            yield "one "
            yield "two"

        class Own(Response):
            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                trace("own", scope["path"])
                await super().__call__(scope, receive, send)

        return {
            "stream": lambda: StreamingResponse(chunks(), 418, background=BackgroundTask(trace, "after the stream")),
            "steps": lambda: StreamingResponse(steps(), 418, media_type="text/plain"),
            "file": lambda: FileResponse(__file__, 418, headers={"last-modified": "x", "etag": "y"}),
            "own": lambda: Own(b"own", 418),
            "work": lambda: JSONResponse("work", 418, background=BackgroundTask(trace, "after the answer")),
            "value": lambda: JSONResponse("value", 418),
            "none": lambda: None,
        }[kind]()

    @app.exception_handler(Failed)
    async def failed(request: Request, error: Failed):
        trace("handler", error)
        return make(str(error))

    async def dependency():
        try:
            yield
        except Failed:
            trace("dependency hears")
            raise
        finally:
            trace("dependency ends")

    def sync_dependency():
        try:
            yield
        finally:
            trace("sync dependency ends")

    @app.get("/fine")
    async def fine():
        return "fine"

    @app.get("/{kind}/raise")
    async def raises(kind: str):
        raise Failed(kind)

    @app.get("/{kind}/yield", dependencies=[Depends(dependency)])
    async def raises_in(kind: str):
        raise Failed(kind)

    @app.get("/{kind}/yield-sync", dependencies=[Depends(sync_dependency)])
    def raises_in_thread(kind: str):
        raise Failed(kind)

    return app
