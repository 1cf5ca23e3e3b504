"""What no route takes, under middleware: unknown paths and methods, slashes, refused requests, other applications."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import Route, Router

from ..case import case
from ..request import get, head, options, post, request
from ..trace import Trace, where

ASKED = [
    (404, get("/favicon.ico")),
    (404, head("/favicon.ico")),
    (404, post("/wp-login.php", json={"a": 1})),
    (404, get("/a/b/c?d=e", {"Origin": "http://a.test"})),
    (405, post("/items/5")),
    (405, request("PURGE", "/items/5")),
    (307, get("/items/5/")),
    (307, post("/list/", json=[])),
    (422, get("/items/five")),
    (422, post("/list", json={"name": 1})),
    (422, post("/list", body=b"{", headers={"Content-Type": "application/json"})),
    (200, get("/items/5")),
    (200, get("/inner/plain")),
    (404, get("/inner/none")),
    (200, get("/inner/stream")),
    (500, get("/inner/breaks")),
    (404, get("/%FF")),
    (200, get("/items/05")),
]


class Named(BaseModel):
    name: str


class Noting(BaseHTTPMiddleware):
    def __init__(self, app: Any, trace: Trace, name: str) -> None:
        super().__init__(app)
        self.trace = trace
        self.name = name

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        self.trace(self.name, request.method, request.url.path, where())
        try:
            response = await call_next(request)
        except Exception as error:
            self.trace(self.name, "hears", repr(error))
            raise
        names = ("app", "router", "route", "endpoint", "path_params", "root_path", "app_root_path")
        self.trace(self.name, response.status_code, [name for name in names if name in request.scope])
        response.headers[f"X-{self.name}"] = str(response.status_code)
        return response


def some(trace: Trace, **more: Any) -> FastAPI:
    app = FastAPI(**more)

    @app.get("/items/{n}")
    async def item(n: int):
        trace("item", n)
        return n

    @app.post("/list")
    def create(named: Named):
        return named

    async def plain(request: Request):
        trace("plain", request.scope["root_path"], where())
        return PlainTextResponse("plain " * 200)

    async def stream(request: Request):
        async def parts() -> Any:
            for part in range(3):
                trace("part", part)
                yield f"{part} "

        return StreamingResponse(parts())

    async def breaks(request: Request):
        raise LookupError("in the inner application")

    routes = [Route("/plain", plain), Route("/stream", stream), Route("/breaks", breaks)]
    app.mount("/inner", Router(routes))
    return app


@case(ASKED, fallback=["* /inner"])
def leftovers_under_two_functions(trace: Trace) -> FastAPI:
    app = some(trace)
    app.add_middleware(Noting, trace=trace, name="inner")

    @app.middleware("http")
    async def outer(request: Request, call_next: Any):
        trace("outer")
        response = await call_next(request)
        response.headers["X-Outer"] = response.headers.get("x-inner", "none")
        return response

    return app


@case(
    [
        *ASKED,
        (200, options("/items/5", {"Origin": "http://a.test", "Access-Control-Request-Method": "GET"})),
        (200, options("/none", {"Origin": "http://a.test", "Access-Control-Request-Method": "GET"})),
        (400, options("/items/5", {"Origin": "http://a.test", "Access-Control-Request-Method": "PURGE"})),
        (200, get("/inner/plain", {"Accept-Encoding": "gzip", "Cookie": "session=bad"})),
        (404, get("/none", {"Accept-Encoding": "gzip", "Cookie": "session=bad"})),
    ],
    fallback=["* /inner"],
    # The time in gzip's header differs by nature.
    mask=(rb"(?s)\A\x1f\x8b\x08\x00....",),
)
def leftovers_under_starlettes_own(trace: Trace) -> FastAPI:
    app = some(trace)
    app.add_middleware(GZipMiddleware, minimum_size=10)
    app.add_middleware(SessionMiddleware, secret_key="secret")
    app.add_middleware(CORSMiddleware, allow_origins=["http://a.test"])
    app.add_middleware(Noting, trace=trace, name="outermost")
    return app


def handlers(trace: Trace) -> dict[Any, Any]:
    async def http(request: Request, error: HTTPException):
        trace("http", error.status_code, sorted(request.path_params), where())
        return JSONResponse({"handled": error.detail}, error.status_code, headers=error.headers)

    def invalid(request: Request, error: RequestValidationError):
        trace("invalid", len(error.errors()), where())
        return JSONResponse({"invalid": request.url.path}, 422)

    def lookup(request: Request, error: LookupError):
        trace("lookup", where())
        return PlainTextResponse("lookup", 500)

    return {HTTPException: http, 405: lookup, RequestValidationError: invalid, LookupError: lookup}


@case([*((500 if status == 405 else status, asked) for status, asked in ASKED)], fallback=["* /inner"])
def leftovers_with_handlers(trace: Trace) -> FastAPI:
    app = some(trace, exception_handlers=handlers(trace))
    app.add_middleware(Noting, trace=trace, name="one")
    app.add_middleware(GZipMiddleware, minimum_size=10)
    return app


@case(
    [
        (500, get("/none")),
        (500, get("/none", {"Accept": "text/html"})),
        (500, get("/items/5/6")),
        (200, get("/items/5")),
    ],
    fallback=["* /inner"],
)
def leftovers_whose_handler_raises(trace: Trace) -> FastAPI:
    def missing(request: Request, error: Exception):
        trace("missing", where())
        raise ValueError("no idea")

    async def last(request: Request, error: Exception):
        trace("last", repr(error), sorted(name for name in request.scope if name in ("route", "endpoint", "router")))
        return PlainTextResponse("last", 500)

    app = some(trace, exception_handlers={404: missing, Exception: last})
    app.add_middleware(Noting, trace=trace, name="one")
    return app


@case(
    [
        (200, get("/none", {"X-Path": "/items/7"})),
        (404, get("/items/7", {"X-Path": "/none"})),
        (404, get("/none", {"X-Path": "/other"})),
        (405, get("/none", {"X-Path": "/list"})),
        (418, get("/none", {"X-Stop": "1"})),
        (404, post("/none", body=b"body", headers={"X-Body": "1"})),
        (404, get("/none")),
    ],
    fallback=["* /inner"],
    wild=False,
)
def leftovers_that_middleware_changes(trace: Trace) -> FastAPI:
    app = some(trace)
    app.add_middleware(Noting, trace=trace, name="below")

    @app.middleware("http")
    async def changes(request: Request, call_next: Any):
        if "x-stop" in request.headers:
            return PlainTextResponse("stopped", 418)
        if "x-path" in request.headers:
            request.scope["path"] = request.headers["x-path"]
        if "x-body" in request.headers:
            trace((await request.body()).decode())
        return await call_next(request)

    return app


@case([(200, get("/none")), (405, post("/items/5")), (200, get("/items/5")), (200, post("/none", body=b"x"))])
def leftovers_for_a_default_of_the_applications(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.get("/items/{n}")(lambda n: n)

    async def default(scope: Any, receive: Any, send: Any) -> None:
        trace("default", "router" in scope, where())
        await PlainTextResponse("default")(scope, receive, send)

    app.router.default = default
    app.add_middleware(Noting, trace=trace, name="one")
    return app


@case(
    [(404, get("/sub/none")), (404, get("/none")), (200, get("/sub/items/1")), (307, get("/sub/items/1/"))],
    fallback=["*"],
)
def leftovers_above_a_mounted_application(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.mount("/sub", some(trace))
    app.add_middleware(Noting, trace=trace, name="one")
    return app
