"""Applications below a path of another one, each with a stack of its own."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

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
