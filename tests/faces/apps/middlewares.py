"""Middleware of several kinds around the same routes, which stay compiled."""

from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware

from ..case import case
from ..request import get, post
from ..trace import Trace


def small(app: FastAPI, trace: Trace) -> FastAPI:
    @app.get("/async")
    async def read(request: Request, n: int = 1):
        trace("handler", getattr(request.state, "user", None))
        return {"n": n, "user": getattr(request.state, "user", None)}

    @app.get("/sync")
    def read_sync():
        return "x" * 2000

    @app.get("/raises")
    async def raises():
        raise HTTPException(403, "no")

    @app.get("/fails")
    async def fails():
        raise RuntimeError

    @app.post("/echo")
    async def echo(n: list[int]):
        return n

    return app


ASKS = [
    (200, get("/async?n=2")),
    (200, get("/sync")),
    (403, get("/raises")),
    (500, get("/fails")),
    (404, get("/nowhere")),
    (422, get("/async?n=x")),
    (200, post("/echo", json=[1, 2])),
]


@case(ASKS)
def http_middleware(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def note(request: Request, call_next: Any):
        trace("before", request.url.path)
        request.state.user = "from the middleware"
        response = await call_next(request)
        response.headers["X-Route"] = getattr(request.scope.get("route"), "path", "none")
        trace("after", response.status_code)
        return response

    return small(app, trace)


@case([*ASKS, (401, get("/async?stop=1"))])
def base_http_middleware(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Stop(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any):
            if "stop" in request.query_params:
                return JSONResponse("stopped", 401)
            return await call_next(request)

    app.add_middleware(Stop)
    app.add_middleware(Stop)
    return small(app, trace)


@case([*ASKS, (200, get("/alias"))])
def asgi_middleware(trace: Trace) -> FastAPI:
    """It edits the scope before routing and the answer's headers after."""
    app = FastAPI()

    class Edit:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await self.app(scope, receive, send)
                return
            if scope["path"] == "/alias":
                scope["path"] = "/async"
            scope["headers"] = [*scope["headers"], (b"x-added", b"1")]

            async def edited(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (b"x-edited", b"1")]
                await send(message)

            await self.app(scope, receive, edited)

    app.add_middleware(Edit)
    return small(app, trace)


@case(
    [*ASKS, (200, get("/sync", {"Accept-Encoding": "gzip"})), (200, get("/async", {"Accept-Encoding": "gzip"}))],
)
def gzip_middleware(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.add_middleware(GZipMiddleware, minimum_size=500)
    return small(app, trace)


@case([*ASKS, (400, get("/async", {"Host": "evil.test"}))])
def trusted_host_and_session(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["faces.test"])
    app.add_middleware(SessionMiddleware, secret_key="secret")
    return small(app, trace)


@case([(200, get("/async")), (200, get("/wrapped")), (404, get("/nowhere"))], fallback=["*"])
def wrapped_application(trace: Trace) -> Any:
    """The server is given a function around the application."""
    inner = small(FastAPI(), trace)

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/wrapped":
            await JSONResponse("wrapped")(scope, receive, send)
            return
        await inner(scope, receive, send)

    outer.openapi = inner.openapi
    return outer
