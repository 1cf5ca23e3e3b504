"""Route classes that put their own function around, or in the place of, FastAPI's request handler."""

import gzip
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Body, Depends, FastAPI, Form, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel

from ..case import case
from ..request import get, head, post
from ..trace import Trace, where

GZIPPED = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


def around(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> type[APIRoute]:
    """A route class whose handler is `wrap(FastAPI's own handler)`."""

    class Around(APIRoute):
        def get_route_handler(self) -> Callable[..., Any]:
            return wrap(super().get_route_handler())

    return Around


@case(
    [
        (200, post("/sum", json=[1, 2, 3])),
        (
            200,
            post(
                "/sum",
                {"Content-Type": "application/json", "Content-Encoding": "gzip"},
                body=gzip.compress(b"[1, 2]", mtime=0),
            ),
        ),
        (422, post("/sum", json=["x"])),
        (422, post("/sum", {"Content-Type": "application/json"}, body=b"{")),
        (405, get("/sum")),
    ]
)
def handler_with_a_request_of_its_own(trace: Trace) -> FastAPI:
    class GzipRequest(Request):
        async def body(self) -> bytes:
            if not hasattr(self, "_body"):
                body = await super().body()
                if "gzip" in self.headers.getlist("Content-Encoding"):
                    body = gzip.decompress(body)
                self._body = body
            return self._body

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handler(request: Request) -> Response:
            return await original(GzipRequest(request.scope, request.receive))

        return handler

    app = FastAPI()
    app.router.route_class = around(wrap)

    @app.post("/sum")
    async def total(numbers: Annotated[list[int], Body()]):
        trace("sum", numbers)
        return {"sum": sum(numbers)}

    return app


@case(
    [
        (200, post("/items", json={"name": "a"})),
        (422, post("/items", json={"name": 1})),
        (422, post("/items", {"Content-Type": "application/json"}, body=b'{"name": ')),
        (422, post("/items")),
    ]
)
def handler_that_tells_of_bad_bodies(trace: Trace) -> FastAPI:
    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handler(request: Request) -> Response:
            try:
                return await original(request)
            except RequestValidationError as error:
                body = await request.body()
                trace("refused", body)
                raise HTTPException(422, detail={"errors": len(error.errors()), "body": body.decode()}) from error

        return handler

    class Item(BaseModel):
        name: str

    app = FastAPI()
    app.router.route_class = around(wrap)

    @app.post("/items")
    def create(item: Item):
        trace("create", where())
        return item

    return app


@case(
    [
        (200, get("/fine")),
        (418, get("/raise/teapot")),
        (500, get("/raise/unhandled")),
        (409, get("/raise/known")),
        (404, get("/raise/http")),
        (200, get("/instead")),
        (500, get("/raise/group")),
        (200, get("/fine")),
    ]
)
def handler_that_raises(trace: Trace) -> FastAPI:
    class Known(Exception):
        pass

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handler(request: Request) -> Response:
            trace("in", request.url.path)
            kind = request.path_params.get("kind")
            if kind == "teapot":
                raise HTTPException(418, "teapot", headers={"X-Tea": "1"})
            if kind == "known":
                raise Known("k")
            if kind == "unhandled":
                raise LookupError("u")
            if kind == "group":
                raise ExceptionGroup("several", [ValueError(1), Known()])
            try:
                return await original(request)
            finally:
                trace("out")

        return handler

    app = FastAPI()
    app.router.route_class = around(wrap)

    @app.exception_handler(Known)
    async def known(request: Request, error: Known):
        trace("handler", request.scope["endpoint"].__name__)
        return JSONResponse({"known": str(error)}, 409)

    @app.get("/fine")
    async def fine():
        return "fine"

    @app.get("/raise/{kind}")
    async def raises(kind: str):
        raise HTTPException(404, kind)

    @app.get("/instead")
    def instead():
        return "instead"

    return app


@case(
    [
        (200, get("/yields?n=1")),
        (422, get("/yields?n=x")),
        (500, get("/yields?n=0")),
        (200, get("/tasks")),
        (200, get("/stream")),
        (200, head("/stream")),
        (200, get("/yields?n=2")),
        (200, get("/yields?n=2", {"Origin": "https://a.test", "Cookie": "a=1"})),
        (500, get("/yields?n=0", {"Origin": "https://a.test"})),
        (200, get("/swallowed?n=1")),
        (500, get("/swallowed?n=0")),
        (200, post("/upload", {"Content-Type": "application/x-www-form-urlencoded"}, body=b"a=1")),
        (422, post("/upload", {"Content-Type": "application/x-www-form-urlencoded"}, body=b"b=1")),
    ]
)
def handler_around_dependencies_that_yield(trace: Trace) -> FastAPI:
    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handler(request: Request) -> Response:
            trace("in")
            response = await original(request)
            trace("out", response.status_code)
            response.headers["X-Out"] = "1"
            return response

        return handler

    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["https://a.test"], allow_credentials=True)
    app.router.route_class = around(wrap)

    async def session():
        trace("enter")
        try:
            yield 7
        except ZeroDivisionError:
            trace("failed")
            raise
        finally:
            trace("exit")

    def sync_session(given: Annotated[int, Depends(session)]):
        trace("enter sync", given, where())
        yield given + 1
        trace("exit sync")

    @app.get("/yields")
    async def yields(n: int, one: Annotated[int, Depends(sync_session)]):
        trace("endpoint")
        return one // n

    def swallowing():
        try:
            yield
        except ZeroDivisionError:
            trace("swallowed")

    @app.get("/swallowed", dependencies=[Depends(swallowing)])
    async def swallowed(n: int):
        return 1 // n

    @app.post("/upload")
    async def upload(a: Annotated[int, Form()]):
        return a

    @app.get("/tasks")
    async def tasks(tasks: BackgroundTasks, one: Annotated[int, Depends(session)]):
        tasks.add_task(trace, "task", one)
        return "tasks"

    @app.api_route("/stream", methods=["GET", "HEAD"])
    async def stream(one: Annotated[int, Depends(session)]):
        async def parts():
            for n in range(3):
                trace("part", n)
                yield f"{n};"

        return StreamingResponse(parts())

    return app


@case(
    [
        (200, get("/cached")),
        (200, get("/cached")),
        (200, get("/cached?n=2")),
        (500, get("/none")),
        (500, get("/text")),
        (203, get("/callable")),
        (200, get("/early")),
        (500, get("/late")),
    ],
    steady=False,
)
def handler_in_the_place_of_fastapis(trace: Trace) -> FastAPI:
    kept: dict[str, Response] = {}

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handler(request: Request) -> Any:
            path = request.url.path
            if path == "/none":
                return None
            if path == "/text":
                return "text"
            if path == "/callable":

                async def answer(scope: Any, receive: Any, send: Any) -> None:
                    trace("answer", scope["path"])
                    await PlainTextResponse("callable", 203)(scope, receive, send)

                return answer
            if path == "/late":
                await original(request)
                raise RuntimeError("after FastAPI's handler")
            key = str(request.url)
            if key not in kept:
                kept[key] = await original(request)
            return kept[key]

        return handler

    app = FastAPI()
    app.router.route_class = around(wrap)

    @app.get("/cached")
    async def cached(n: int = 1):
        trace("computed", n)
        return {"n": n}

    for name in ("none", "text", "callable", "early", "late"):
        app.get(f"/{name}", name=name)(lambda: trace("endpoint") or "given")
    return app


@case(
    [
        (200, get("/sync/1")),
        (422, get("/sync/x")),
        (200, post("/sync/1", body=b"abc")),
        (200, get("/partial/2")),
        (200, get("/object/3")),
    ]
)
def custom_handlers_of_every_kind(trace: Trace) -> FastAPI:
    """FastAPI runs a `def` handler in a thread, as Starlette does; a callable object is told by its `__call__`."""
    import functools

    class SyncRoute(APIRoute):
        def get_route_handler(self) -> Any:
            def handler(request: Request) -> Response:
                trace("handler", where(), request.method)
                if request.path_params["n"] == "x":
                    raise RequestValidationError([{"loc": ["path", "n"], "msg": "no", "type": "no"}])
                return PlainTextResponse(f"{request.path_params}")

            return handler

    class PartialRoute(APIRoute):
        def get_route_handler(self) -> Any:
            async def handler(original: Any, request: Request) -> Response:
                trace("partial", where())
                return await original(request)

            return functools.partial(handler, super().get_route_handler())

    class ObjectRoute(APIRoute):
        def get_route_handler(self) -> Any:
            original = super().get_route_handler()

            class Handler:
                async def __call__(self, request: Request) -> Response:
                    trace("object", where())
                    return await original(request)

            return Handler()

    app = FastAPI()
    for name, route_class in (("sync", SyncRoute), ("partial", PartialRoute), ("object", ObjectRoute)):
        router = APIRouter(prefix=f"/{name}", route_class=route_class)

        @router.api_route("/{n}", methods=["GET", "POST"], name=name)
        async def read(n: int):
            trace("endpoint", n)
            return n

        app.include_router(router)
    return app
