"""Routers, mounts, prefixes, and what other frameworks call routes."""

import os
import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.routing import Host, Mount, Route

from ..case import case
from ..request import get, head, post
from ..trace import Trace


@case(
    [
        (200, get("/api/v1/items/5")),
        (422, get("/api/v1/items/x")),
        (307, get("/api/v1/items/5/")),
        (200, get("/api/v1/items")),
        (405, post("/api/v1/items")),
        (404, get("/items")),
        (200, get("/api/v1/users/me/name")),
        (200, get("/twice/items/7")),
        (200, get("/tenant/9/items/8")),
        (422, get("/tenant/x/items/8")),
        (200, get("/late")),
        (404, get("/api/v1/none")),
    ]
)
def included_routers(trace: Trace) -> FastAPI:
    app = FastAPI()

    async def note():
        trace("note")

    items = APIRouter(prefix="/items", tags=["items"])
    users = APIRouter()
    v1 = APIRouter(prefix="/v1", dependencies=[Depends(note)])
    tenant = APIRouter(prefix="/tenant/{tenant}")

    @items.get("/{number}")
    async def item(number: int, tenant: str | None = None):
        return [number, tenant]

    @items.get("")
    def listed():
        return ["all"]

    @users.get("/users/{name}/name")
    async def user(name: str):
        return name

    v1.include_router(items)
    v1.include_router(users, tags=["users"])
    app.include_router(v1, prefix="/api")
    app.include_router(items, prefix="/twice")

    def check(tenant: int):
        trace("tenant", tenant)

    tenant.include_router(items)
    app.include_router(tenant, dependencies=[Depends(check)])

    late = APIRouter()
    app.include_router(late)

    @late.get("/late")
    async def added_after_inclusion():
        return "late"

    if not any(getattr(route, "path", None) == "/late" for route in app.routes):
        app.include_router(late)  # Releases that copy routes at inclusion do not see it otherwise.
    return app


@case(
    [
        (200, get("/sub/hello")),
        (200, get("/sub/items/4")),
        (422, get("/sub/items/x")),
        (404, get("/sub/none")),
        (404, get("/sub/hello/world")),
        ({307, 404}, get("/sub")),
        (404, get("/sub/")),
        (200, get("/sub/where?x=1")),
        (200, get("/hello")),
        (418, get("/sub/teapot")),
        (500, get("/sub/error")),
        (200, get("/plain/x")),
        (200, get("/plain/")),
        (404, get("/subx/hello")),
        ({200, 404}, get("/sub%2Fhello")),
    ],
    fallback=["*"],
)
def mounts(trace: Trace) -> FastAPI:
    app = FastAPI()
    sub = FastAPI()

    class Teapot(Exception):
        pass

    @sub.exception_handler(Teapot)
    async def teapot(request: Request, error: Teapot):
        return PlainTextResponse("short and stout", 418)

    @sub.get("/hello")
    async def hello():
        trace("sub hello")
        return "sub"

    @sub.get("/items/{n}")
    def item(n: int):
        return n

    @sub.get("/where")
    async def where(request: Request):
        return {
            "root_path": request.scope["root_path"],
            "path": request.scope["path"],
            "url": str(request.url),
            "for": str(request.url_for("hello")),
        }

    @sub.get("/teapot")
    async def raises():
        raise Teapot

    @sub.get("/error")
    async def error():
        raise RuntimeError

    @app.get("/hello")
    async def main_hello():
        return "main"

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        trace("plain", scope["path"], scope["root_path"])
        await PlainTextResponse("plain")(scope, receive, send)

    app.mount("/sub", sub)
    app.mount("/plain", plain)
    return app


@case(
    [
        (200, get("/early")),
        (200, get("/mounted/x")),
        (200, get("/starlette/5")),
        (200, get("/late")),
        (200, head("/starlette/5")),
        (404, get("/starlette/x")),
        (405, post("/starlette/5")),
        (200, get("/late", {"Host": "api.test"})),
        (404, get("/none")),
    ],
    fallback=["*"],
)
def foreign_routes(trace: Trace) -> FastAPI:
    """Starlette's own routes between FastAPI's: the order still counts."""
    app = FastAPI()

    async def number(request: Request):
        return PlainTextResponse(repr(request.path_params))

    def sync(request: Request):
        return PlainTextResponse("sync")

    @app.get("/early")
    async def early():
        return "early"

    app.router.routes.append(Route("/starlette/{n:int}", number))
    app.router.routes.append(Mount("/mounted", routes=[Route("/{x}", sync)]))
    app.router.routes.append(Host("api.test", Starlette(routes=[Route("/late", sync)])))

    @app.get("/late")
    async def late():
        return "late"

    return app


@case(
    [
        (200, get("/x")),
        (200, get("/api/x")),
        (200, get("/where")),
        (200, get("/api/where")),
        (307, get("/slash")),
        (200, get("/openapi.json")),
        (404, get("/apix")),
    ]
)
def root_path(trace: Trace) -> FastAPI:
    app = FastAPI(root_path="/api")

    @app.get("/x")
    async def x():
        return "x"

    @app.get("/where")
    async def where(request: Request):
        return {
            "root_path": request.scope["root_path"],
            "path": request.url.path,
            "for": str(request.url_for("x")),
            "base": str(request.base_url),
        }

    @app.get("/slash/")
    def slash():
        return "slash"

    return app


@case([(200, get("/timed")), (200, get("/plain")), (422, get("/timed?n=x")), (404, get("/none"))])
def custom_route_class(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Timed(APIRoute):
        def get_route_handler(self):
            original = super().get_route_handler()

            async def handler(request: Request):
                trace("before")
                response = await original(request)
                response.headers["X-Timed"] = "yes"
                trace("after")
                return response

            return handler

    router = APIRouter(route_class=Timed)

    @router.get("/timed")
    async def timed(n: int = 1):
        return n

    @app.get("/plain")
    async def plain():
        return "plain"

    app.include_router(router)
    return app


@case(
    [(200, get(path)) for path in ("/", "/app.js", "/api/items/5", "/api/late")]
    + [(200, get("/deep/link", {"Accept": "text/html"})), (404, get("/deep/link")), (404, get("/missing.js"))]
    + [(404, get("/api/none")), (405, post("/api/items/5")), (422, get("/api/items/x")), (200, head("/app.js"))]
    + [(405, post("/app.js")), (307, get("/api/late/")), (404, get("/..%2Fsecret"))],
    since=("0.138.0", "app.frontend()"),
    fallback=["*"],
    steady=False,
)
def frontend(trace: Trace) -> FastAPI:
    """Files are tried after all routes, whenever those are added."""
    folder = Path(tempfile.mkdtemp())

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        yield
        shutil.rmtree(folder)

    (folder / "index.html").write_text("<p>index</p>")
    (folder / "app.js").write_text("run()")
    for file in folder.iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))
    app = FastAPI(lifespan=lifespan)
    app.frontend("/", directory=folder)

    @app.get("/api/items/{n}")
    async def item(n: int):
        return n

    @app.get("/api/late")
    def late():
        return "late"

    return app
