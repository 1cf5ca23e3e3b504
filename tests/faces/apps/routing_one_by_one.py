"""One rule of routing per application."""

from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.routing import APIRoute

from ..case import Settled, case
from ..request import get, head, options, patch, post, put, request
from ..trace import Trace


@case([(200, get("/a")), (200, post("/a")), (200, put("/a")), (405, patch("/a")), (405, head("/a"))], wild=False)
def one_path_many_methods(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.get("/a")(lambda: "get")
    app.post("/a")(lambda: "post")
    app.api_route("/a", methods=["PUT", "GET"])(lambda: "put")
    return app


@case([(200, get("/a")), (200, head("/a")), (200, options("/a")), (200, request("QUERY", "/a"))], wild=False)
def uncommon_methods(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.api_route("/a", methods=["GET", "HEAD", "OPTIONS", "query"])
    async def everything(request: Request):
        return request.method

    return app


@case([(200, get("/one/x")), (200, get("/two/x")), (200, get("/one/two/x")), (404, get("/x"))], wild=False)
def one_router_included_more_than_once(trace: Trace) -> FastAPI:
    shared = APIRouter()

    @shared.get("/x")
    async def x(request: Request):
        return [request.url.path, request.scope["route"].path]

    app = FastAPI()
    app.include_router(shared, prefix="/one")
    app.include_router(shared, prefix="/two", dependencies=[Depends(lambda: trace("two"))])
    outer = APIRouter(prefix="/one")
    outer.include_router(shared, prefix="/two")
    app.include_router(outer)
    return app


@case([(200, get("/r")), (200, get("/r/")), (307, get("/s")), (200, get("/s/"))], wild=False)
def empty_paths_below_a_prefix(trace: Trace) -> FastAPI:
    router = APIRouter(prefix="/r")
    router.get("")(lambda: "without")
    router.get("/")(lambda: "with")
    other = APIRouter()
    other.get("/")(lambda: "s")
    app = FastAPI()
    app.include_router(router)
    app.include_router(other, prefix="/s")
    return app


@case(
    [(307, get("/a/?x=1&y=%20")), (307, post("/b", body=b"x")), ({404, 307}, get("/c//")), (200, get("/a"))],
    wild=False,
)
def redirects_keep_the_query(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.get("/a")(lambda: "a")
    app.post("/b/")(lambda: "b")
    app.get("/c")(lambda: "c")
    return app


@case([(404, get("/a/")), (404, get("/r/b/")), (200, get("/a")), (200, get("/r/b"))], wild=False)
def no_redirects(trace: Trace) -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    app.get("/a")(lambda: "a")
    router = APIRouter(prefix="/r", redirect_slashes=True)
    router.get("/b")(lambda: "b")
    app.include_router(router)
    return app


@case(
    [(200, get("/caf%C3%A9")), (200, get("/a%20b")), (200, get("/x.y")), (404, get("/xzy")), (404, get("/A%20B"))],
    wild=False,
)
def paths_with_odd_characters(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.get("/caf\u00e9")(lambda: "caf\u00e9")
    app.get("/a b")(lambda: "a b")
    app.get("/x.y")(lambda: "x.y")
    return app


@case([(200, get("/where")), (200, get("/items/5/parts/a%2Fb")), (200, get("/abs"))], wild=False)
def urls_of_routes(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/items/{n}/parts/{name:path}", name="part")
    async def part(n: int, name: str, request: Request):
        return [n, name, str(request.url_for("part", n=n, name="x/y"))]

    @app.get("/where")
    async def place(request: Request):
        return [str(request.url_for("part", n=1, name="a")), str(app.url_path_for("place")), str(request.base_url)]

    @app.get("/abs")
    def absolute(request: Request):
        return str(request.url.replace(query="a=1").include_query_params(b=2))

    return app


@case([(200, get("/first")), (200, get("/openapi.json"))], wild=False)
def webhooks_and_callbacks(trace: Trace) -> FastAPI:
    callbacks = APIRouter()

    @callbacks.post("{$request.query.url}/told")
    def told(n: int) -> None:
        """Somebody is told."""

    app = FastAPI()
    app.get("/first", callbacks=callbacks.routes)(lambda url=None: "first")

    @app.webhooks.post("changed")
    def changed(n: int) -> None:
        """Something has changed."""

    return app


@case([(200, get("/")), (200, get("/late/5")), (404, get("/gone")), (200, get("/rewritten"))], wild=False)
def routes_edited_in_the_lifespan(trace: Trace) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI):
        app.router.routes[:] = [route for route in app.routes if getattr(route, "path", "") != "/gone"]
        for route in list(app.routes):
            if isinstance(route, APIRoute) and route.path == "/rewritten":
                app.router.routes.remove(route)
                app.add_api_route("/rewritten", lambda: "new", methods=["GET"])

        @app.get("/late/{n}")
        async def late(n: int):
            return n

        app.router.routes.insert(0, APIRoute("/", lambda: "first now", methods=["GET"]))
        trace("up")
        yield
        trace("down")

    app = FastAPI(lifespan=lifespan)
    app.get("/")(lambda: "old")
    app.get("/gone")(lambda: "gone")
    app.get("/rewritten")(lambda: "old")
    return app


def reverse(app: FastAPI) -> None:
    app.router.routes.reverse()


def clear(app: FastAPI) -> None:
    app.router.routes.clear()


@case(
    [
        (200, get("/a")),
        reverse,
        (200, get("/a")),
        Settled(200, get("/a")),
        clear,
        (404, get("/a")),
        Settled(404, get("/a")),
        (404, get("/docs")),
    ],
    wild=False,
)
def routes_reversed_and_cleared(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.get("/{name}")(lambda name: ["name", name])
    app.get("/a")(lambda: "a")
    return app


@case([(200, get("/state")), (200, get("/sync")), (200, get("/state"))], wild=False)
def state_of_lifespans(trace: Trace) -> FastAPI:
    @asynccontextmanager
    async def of_router(_: FastAPI):
        yield {"router": [2], "both": "router"}

    @asynccontextmanager
    async def of_app(_: FastAPI):
        trace("up")
        yield {"app": [1], "both": "app"}
        trace("down")

    router = APIRouter(lifespan=of_router)

    @router.get("/state")
    async def state(request: Request):
        request.state.app.append(0)
        request.state.own = 1
        return [request.state.app, getattr(request.state, "router", None), request.state.both]

    @router.get("/sync")
    def state_sync(request: Request):
        return [hasattr(request.state, "own"), request.state.app]

    app = FastAPI(lifespan=of_app)
    app.include_router(router)
    return app
