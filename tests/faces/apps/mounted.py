"""Applications below a path of another one, each with a stack of its own."""

import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.applications import Starlette
from starlette.routing import Host, Mount, Route

from ..case import Settled, case
from ..request import get, head, options, post
from ..trace import Trace


class Teapot(Exception):
    pass


def sub_app(trace: Trace, **settings: Any) -> FastAPI:
    """A small application that tells where it is."""
    app = FastAPI(title="Sub", **settings)

    @app.get("/items/{n}", name="item")
    async def item(n: int, request: Request):
        scope = request.scope
        return {
            "n": n,
            "root_path": scope["root_path"],
            "app_root_path": scope.get("app_root_path"),
            "path": scope["path"],
            "url": str(request.url),
            "base": str(request.base_url),
            "for": str(request.url_for("item", n=1)),
            "app": scope["app"].title,
            "route": scope["route"].path,
            "params": scope["path_params"],
            "router": scope["router"] is app.router,
        }

    @app.get("/plain")
    def plain(n: int = 1):
        return n

    @app.post("/body")
    async def body(given: dict[str, int]):
        return given

    @app.get("/teapot")
    async def teapot():
        raise Teapot("t")

    @app.get("/fails")
    async def fails():
        raise LookupError("in the sub-application")

    @app.get("/refused")
    def refused():
        raise HTTPException(403, "sub", headers={"X-Sub": "1"})

    return app


ASKED = [
    (200, get("/sub/plain")),
    Settled(200, get("/sub/plain")),
    (200, get("/sub/items/5")),
    (422, get("/sub/items/x")),
    (200, get("/sub/plain?n=5")),
    (200, post("/sub/body", json={"a": 1})),
    (422, post("/sub/body", json={"a": "x"})),
    (500, get("/sub/fails")),
    (403, get("/sub/refused")),
    (404, get("/sub/none")),
    (404, get("/sub/")),
    (405, post("/sub/plain")),
    (405, head("/sub/plain")),
    (307, get("/sub/plain/")),
    (200, get("/sub/openapi.json")),
    (200, get("/sub/docs")),
    (200, get("/main")),
    (307, get("/sub")),
    (404, get("/subplain")),
]


@case([*ASKED, (500, get("/sub/teapot"))], wild=False)
def application_in_an_application(trace: Trace) -> FastAPI:
    app = FastAPI(title="Main")
    app.mount("/sub", sub_app(trace))
    app.get("/main")(lambda: "main")
    return app


@case([*ASKED, (418, get("/sub/teapot")), (419, get("/main/teapot"))], wild=False)
def each_with_handlers_of_its_own(trace: Trace) -> FastAPI:
    app = FastAPI(title="Main")
    sub = sub_app(trace)

    @sub.exception_handler(Teapot)
    async def in_sub(request: Request, error: Teapot):
        trace("sub", request.app.title, request.scope["root_path"], request.path_params)
        return JSONResponse({"in": "sub"}, 418)

    @app.exception_handler(Teapot)
    async def in_main(request: Request, error: Teapot):
        trace("main", request.app.title)
        return JSONResponse({"in": "main"}, 419)

    @app.exception_handler(404)
    async def missing(request: Request, error: Any):
        trace("404 of main")
        return JSONResponse("main", 404)

    app.mount("/sub", sub)
    app.get("/main")(lambda: "main")

    @app.get("/main/teapot")
    async def teapot():
        raise Teapot

    return app


@case([*ASKED, (500, get("/sub/teapot"))], wild=False)
def handler_of_the_outer_application_only(trace: Trace) -> FastAPI:
    """The inner application answers 500 by itself before the outer one hears of it."""
    app = FastAPI(title="Main")

    @app.exception_handler(Teapot)
    async def in_main(request: Request, error: Teapot):
        trace("never")
        return JSONResponse({"in": "main"}, 419)

    app.mount("/sub", sub_app(trace))
    app.get("/main")(lambda: "main")
    return app


@case(
    [
        (200, get("/api/v1/plain", {"Origin": "https://a.test"})),
        Settled(200, get("/api/v1/plain")),
        (200, get("/api/v1/plain", {"Origin": "https://a.test"})),
        (200, get("/api/v1/items/7", {"Origin": "https://a.test"})),
        (500, get("/api/v1/fails", {"Origin": "https://a.test"})),
        (403, get("/api/v1/refused", {"Origin": "https://b.test"})),
        (200, options("/api/v1/plain", {"Origin": "https://a.test", "Access-Control-Request-Method": "GET"})),
        (200, get("/api/plain")),
        (404, get("/api/v1/none", {"Origin": "https://a.test"})),
    ],
    wild=False,
)
def applications_three_deep_behind_cors(trace: Trace) -> FastAPI:
    app = FastAPI(title="Main")
    app.add_middleware(CORSMiddleware, allow_origins=["https://a.test"], allow_credentials=True)
    api = sub_app(trace)
    api.mount("/v1", sub_app(trace))
    app.mount("/api", api)
    return app


@case(
    [(200, get("/sub/plain")), (200, get("/sub/items/1", {"Origin": "https://a.test"})), (404, get("/sub/x"))],
    wild=False,
    fallback=["* /sub"],
)
def application_with_middleware_in_an_application(trace: Trace) -> FastAPI:
    app = FastAPI(title="Main")
    sub = sub_app(trace)
    sub.add_middleware(CORSMiddleware, allow_origins=["https://a.test"])

    @sub.middleware("http")
    async def mark(request: Request, call_next: Any):
        trace("middleware", request.url.path)
        response = await call_next(request)
        response.headers["X-Sub"] = "1"
        return response

    app.mount("/sub", sub)
    return app


@case(
    [(404, get("/proxy/plain")), (200, get("/outer/proxy/plain")), (200, get("/docs")), (404, get("/proxy/x"))],
    wild=False,
    fallback=["* /proxy"],
)
def application_with_a_root_path_in_an_application(trace: Trace) -> FastAPI:
    app = FastAPI(title="Main", root_path="/outer")
    app.mount("/proxy", sub_app(trace, root_path="/outer/proxy"))
    return app


@case(
    [
        (200, get("/sub/a")),
        Settled(200, get("/sub/a")),
        (200, get("/sub/b")),
        (200, get("/sub/own")),
        (200, get("/sub/c/1")),
        (422, get("/sub/c/x")),
        (200, get("/sub/d")),
        (404, get("/sub/d/e")),
    ],
    wild=False,
)
def order_around_a_mount(trace: Trace) -> FastAPI:
    """What comes before the mount wins, what comes behind it is never asked."""
    sub = FastAPI()
    sub.get("/{name}")(lambda name: ["sub", name])
    inner = APIRouter(prefix="/c", dependencies=[Depends(lambda: trace("inner"))])
    inner.get("/{n}")(lambda n: ["never", n])

    @inner.get("/int/{n}")
    async def number(n: int):
        return n

    @sub.get("/c/{n}")
    def late(n: int):
        return ["late", n]

    sub.router.routes.insert(0, APIRoute("/c/{n}", late))
    sub.include_router(inner)
    app = FastAPI()
    app.get("/sub/own")(lambda: "own")
    app.post("/sub/a")(lambda: "post")
    app.mount("/sub", sub)
    app.get("/sub/b")(lambda: "never")
    app.get("/sub/d/e")(lambda: "never")
    return app


def exchange_handlers(app: FastAPI) -> None:
    sub = next(route.app for route in app.routes if getattr(route, "path", "") == "/sub")

    @sub.get("/added")
    async def added():
        return "added"


def override(app: FastAPI) -> None:
    sub = next(route.app for route in app.routes if getattr(route, "path", "") == "/sub")
    sub.dependency_overrides[given] = lambda: "overridden"


def unmount(app: FastAPI) -> None:
    app.router.routes[:] = [route for route in app.routes if getattr(route, "path", "") != "/sub"]


def given() -> str:
    return "given"


@case(
    [
        (200, get("/sub/given")),
        Settled(200, get("/sub/given")),
        (404, get("/sub/added")),
        exchange_handlers,
        (200, get("/sub/added")),
        Settled(200, get("/sub/added")),
        override,
        (200, get("/sub/given")),
        Settled(200, get("/sub/given")),
        unmount,
        (404, get("/sub/given")),
        Settled(404, get("/sub/given")),
    ],
    wild=False,
)
def mounted_application_that_changes(trace: Trace) -> FastAPI:
    sub = FastAPI()

    @sub.get("/given")
    async def read(what: Annotated[str, Depends(given)]):
        return what

    app = FastAPI()
    app.mount("/sub", sub)
    return app


@case(
    [
        (200, get("/sub/state")),
        Settled(200, get("/sub/state")),
        (200, get("/sub/tasks")),
        (200, get("/sub/custom")),
        (200, get("/sub/starlette")),
        (200, get("/sub/cookie", {"Cookie": "a=1"})),
        (418, get("/sub/dependency")),
    ],
    wild=False,
)
def what_a_mounted_application_sees(trace: Trace) -> FastAPI:
    class Noting(APIRoute):
        def get_route_handler(self) -> Any:
            original = super().get_route_handler()

            async def handler(request: Request) -> Response:
                trace("custom", request.app.title, request.scope["root_path"])
                return await original(request)

            return handler

    sub = FastAPI(title="Sub")
    sub.state.own = "own"

    @sub.get("/state")
    async def state(request: Request):
        return [request.app.state.own, request.state.from_lifespan, "fastapi" in request.scope]

    @sub.get("/tasks")
    def tasks(tasks: BackgroundTasks):
        tasks.add_task(trace, "task")
        return "tasks"

    noting = APIRouter(route_class=Noting)
    noting.get("/custom")(lambda: "custom")
    sub.include_router(noting)

    async def plain(request: Request) -> Response:
        return PlainTextResponse(f"{request.scope['root_path']} {request.url_for('state')}")

    sub.add_route("/starlette", plain)

    @sub.get("/cookie")
    async def cookie(request: Request, response: Response):
        response.set_cookie("b", "2")
        return request.cookies

    def refuse(request: Request):
        raise HTTPException(418, request.scope["root_path"])

    sub.get("/dependency", dependencies=[Depends(refuse)])(lambda: "never")

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        yield {"from_lifespan": 5}

    app = FastAPI(lifespan=lifespan)
    app.mount("/sub", sub)
    return app


@case(
    [
        (200, get("/files/a.txt")),
        (404, get("/files/none")),
        (405, post("/files/a.txt")),
        (200, head("/files/a.txt")),
        ({200, 404}, get("/deep/x/files/a.txt")),
        (404, get("/files/..%2Fsecret")),
        (404, get("/files/")),
    ],
    wild=False,
    fallback=["* /files", "* /deep/x/files", "* /deep/files"],
)
def static_files(trace: Trace) -> FastAPI:
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name, "a.txt")
    path.write_text("text")
    import os

    os.utime(path, (1_700_000_000, 1_700_000_000))

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        with folder:
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/files", StaticFiles(directory=folder.name), name="files")
    inner = APIRouter(prefix="/x")
    inner.mount("/files", StaticFiles(directory=folder.name))
    app.include_router(inner, prefix="/deep")
    return app


@case(
    [(200, get("/x/a")), (200, get("/y")), (404, get("/x")), (405, post("/x/a")), (200, get("/before"))],
    wild=False,
    fallback=["*"],
)
def mount_at_the_root(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.get("/before")(lambda: "before")
    sub = FastAPI()
    sub.get("/x/{name}")(lambda name: name)
    sub.get("/y")(lambda request=1: "y")
    app.mount("/", sub)
    app.get("/never")(lambda: "never")
    return app


@case(
    [
        (200, get("/", {"Host": "api.test"})),
        (200, get("/v/5", {"Host": "v1.api.test"})),
        (200, get("/")),
        (404, get("/v/5")),
        (404, get("/nothing", {"Host": "api.test"})),
        (200, get("/early", {"Host": "api.test"})),
    ],
    wild=False,
    fallback=["*"],
)
def hosts(trace: Trace) -> FastAPI:
    async def by_version(request: Request) -> Response:
        return JSONResponse(request.path_params)

    api = FastAPI()
    api.get("/")(lambda: "api")
    app = FastAPI()
    app.get("/early")(lambda: "early")
    app.router.routes.append(Host("{version}.api.test", Starlette(routes=[Route("/v/{n:int}", by_version)])))
    app.host("api.test", api, name="api")
    app.get("/")(lambda: "main")
    return app


@case(
    [(200, get("/r/a/1")), (200, get("/r/b")), (404, get("/r/c")), (200, get("/asgi/x?y=1")), (405, post("/r/b"))],
    wild=False,
    fallback=["* /r", "* /asgi"],
)
def mounts_of_other_kinds(trace: Trace) -> FastAPI:
    async def show(request: Request) -> Response:
        return JSONResponse({"params": request.path_params, "root": request.scope["root_path"]})

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        trace("asgi", scope["path"], scope["root_path"], scope["query_string"])
        await PlainTextResponse("asgi")(scope, receive, send)

    app = FastAPI(routes=[Mount("/r", routes=[Route("/a/{n:int}", show), Route("/b", show)])])
    app.mount("/asgi", asgi, name="asgi")
    return app
