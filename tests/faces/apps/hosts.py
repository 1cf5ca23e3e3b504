"""Routes that are chosen by the Host header, and mounts that do not name one path, among compiled routes."""

from typing import Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Host, Match, Mount, Route

from ..case import case
from ..request import get, head, options, post
from ..trace import Trace


class Item(BaseModel):
    n: int


class Marking(APIRoute):
    def get_route_handler(self):
        inner = super().get_route_handler()

        async def marked(request: Request) -> Response:
            response = await inner(request)
            response.headers["X-Marked"] = "1"
            return response

        return marked


async def show(request: Request) -> Response:
    return JSONResponse({"params": request.path_params, "root": request.scope.get("root_path", "")})


def behind(app: FastAPI, trace: Trace) -> FastAPI:
    """Routes of every kind, to stand behind something."""

    def dependency():
        trace("dependency")
        yield 1
        trace("end")

    @app.get("/plain")
    async def plain():
        trace("plain")
        return "main"

    @app.get("/sync/{n}")
    def sync(n: int, q: str = "q"):
        trace("sync", n, q)
        return [n, q]

    @app.post("/items")
    async def items(item: Item, request: Request):
        trace("items")
        return {"n": item.n, "host": request.headers["host"], "url": str(request.url_for("plain"))}

    @app.get("/yields")
    def yields(tasks: BackgroundTasks, n: int = Depends(dependency)):
        tasks.add_task(trace, "task")
        return n

    @app.get("/refuses")
    async def refuses():
        raise HTTPException(403, "no")

    @app.get("/fails")
    def fails():
        raise LookupError("main")

    marking = APIRouter(route_class=Marking)
    marking.get("/marked")(plain)
    app.include_router(marking)
    sub = FastAPI()
    sub.get("/in/{n}")(sync)
    app.mount("/sub", sub)
    return app


def api() -> FastAPI:
    """What the hosts have."""
    app = FastAPI(title="API")

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def anything(path: str, request: Request):
        return {"api": path, "body": (await request.body()).decode(), "params": request.path_params}

    return app


def asked(host: str) -> list[Any]:
    """All routes, asked under one host."""
    field = {"Host": host}
    return [
        get("/plain", field),
        get("/sync/5", field),
        get("/sync/x", field),
        post("/items", field, json={"n": 1}),
        post("/items", field, json={"n": "x"}),
        get("/yields", field),
        get("/refuses", field),
        get("/fails", field),
        get("/marked", field),
        get("/sub/in/5", field),
    ]


EACH = [200, 200, 422, 200, 422, 200, 403, 500, 200, 200]
NOT_HERE = [
    (404, get("/none")),
    (405, post("/plain")),
    (405, head("/plain")),
    (307, get("/plain/")),
    (200, get("/sub/docs")),
    (404, get("/sub/none")),
]


@case(
    [
        *zip(EACH, asked("main.test"), strict=True),
        *[(200, request) for request in asked("api.test")],
        *[(200, request) for request in asked("API.test:8080")][:2],
        (200, get("/sync/5", {"Host": "v2.other.test"})),
        (200, get("/sync/5", {"Host": "x.v2.other.test"})),
        (200, get("/early", {"Host": "api.test"})),
        (200, post("/early", {"Host": "api.test"})),
        (405, post("/early")),
        *NOT_HERE,
    ],
    fallback=["* //api.test", "* //{version}.other.test", "* /sub"],
)
def routes_behind_hosts(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.get("/early")(lambda: "early")
    app.host("api.test", api())
    app.router.routes.append(Host("{version}.other.test", Starlette(routes=[Route("/sync/{n:int}", show)])))
    return behind(app, trace)


@case(
    [
        *zip(EACH, asked("main.test"), strict=True),
        *[(200, request) for request in asked("api.test")],
        (200, options("/plain", {"Host": "api.test", "Origin": "http://o", "Access-Control-Request-Method": "GET"})),
        (200, get("/plain", {"Host": "api.test", "Origin": "http://o"})),
        (200, get("/plain", {"Host": "main.test", "Origin": "http://o"})),
        *NOT_HERE,
    ],
    fallback=["* //api.test", "* /sub"],
)
def routes_behind_hosts_with_cors(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    app.host("api.test", api())
    return behind(app, trace)


@case(
    [
        *zip([200, 200, 422, 200, 422, 200, 403], asked("main.test"), strict=False),
        *[(200, request) for request in asked("api.test")],
        (200, get("/plain", {"Host": "main.test", "X-Host": "api.test"})),
        (200, get("/plain", {"Host": "api.test", "X-Host": "main.test"})),
    ],
    wild=False,
    fallback=["* //api.test", "* /sub", "GET /yields", "GET /sub/in/{n}", *[f"GET /sub{page}" for page in (
        "/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect")]],
)  # fmt: skip
def routes_behind_hosts_under_middleware(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.host("api.test", api())
    behind(app, trace)

    @app.middleware("http")
    async def rewrite(request: Request, call_next: Any) -> Response:
        other = request.headers.get("x-host")
        if other is not None:
            fields = [(key, value) for key, value in request.scope["headers"] if key != b"host"]
            request.scope["headers"] = [*fields, (b"host", other.encode())]
        response = await call_next(request)
        response.headers["X-Seen"] = "1"
        return response

    return app


@case(
    [
        (200, get("/a/x", {"Host": "inner.test"})),
        (200, get("/a/x", {"Host": "main.test"})),
        (200, get("/a/x", {"Host": "outer.test"})),
        (404, get("/a/none", {"Host": "main.test"})),
        (200, get("/x", {"Host": "main.test"})),
    ],
    fallback=["* //inner.test", "* //outer.test", "* /a/", "* /a", "* /a//inner.test"],
    since=("0.137.0", "Host routes in included routers"),
    wild=False,
)
def hosts_within_mounts(trace: Trace) -> FastAPI:
    sub = FastAPI()
    sub.host("inner.test", api())
    sub.get("/x")(lambda: "sub")
    included = APIRouter()
    included.routes.append(Host("outer.test", api()))
    included.get("/x")(lambda: "included")
    app = FastAPI()
    app.include_router(included)
    app.mount("/a", sub)
    return app


@case(
    [
        *zip(EACH[:9], asked("main.test"), strict=False),
        (200, get("/plain/x")),
        (404, get("/none")),
        (200, get("/plain/")),
        (307, get("/refuses/")),
        (405, post("/plain")),
        (200, get("/docs")),
        (200, get("/outer")),
        (404, post("/outer")),
    ],
    fallback=["* "],
)
def application_mounted_at_the_root(trace: Trace) -> FastAPI:
    inner = FastAPI(title="Inner")

    @inner.get("/plain/{rest:path}")
    async def rest(rest: str, request: Request):
        scope = request.scope
        return [rest, scope["root_path"], scope.get("app_root_path"), scope["path"], str(request.url_for("plain"))]

    app = FastAPI(openapi_url=None)
    app.get("/outer")(lambda: "outer")
    for route in list(behind(inner, trace).router.routes):
        if isinstance(route, Mount):
            inner.router.routes.remove(route)
    app.mount("/", inner)
    return app


@case(
    [
        (200, get("/t1/x/5")),
        (200, get("/t1/x/y/z")),
        (404, get("/t1/none")),
        (200, get("/t1/plain")),
        (200, get("/before/plain")),
        (200, get("/n/3/sub/x/5")),
        (404, get("/n/a/sub/x/5")),
        (200, get("/after/7")),
        (405, post("/after/7")),
        (422, get("/after/x")),
    ],
    fallback=["* /{tenant}/x", "* /n/{n:int}/sub"],
)
def mounts_with_parameters(trace: Trace) -> FastAPI:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        trace("asgi", scope["path"], scope["root_path"], scope["path_params"])
        await PlainTextResponse("asgi")(scope, receive, send)

    app = FastAPI()
    app.get("/before/plain")(lambda: "before")
    app.mount("/{tenant}/x", asgi)
    app.router.routes.append(Mount("/n/{n:int}/sub", routes=[Route("/x/{m:int}", show)]))
    app.get("/{tenant}/plain")(lambda tenant: tenant)

    @app.get("/after/{n}")
    async def after(n: int):
        return n

    return app


class Handling(APIRoute):
    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(f"handled {self.path}", headers={"X-Method": scope["method"]})(scope, receive, send)


class Matching(APIRoute):
    def matches(self, scope: Any) -> Any:
        if scope["type"] == "http" and (b"x-matching", b"1") not in scope["headers"]:
            return Match.NONE, {}
        return super().matches(scope)


@case(
    [
        (200, get("/handled")),
        (200, post("/handled")),
        (200, get("/plain")),
        (200, get("/by-hand")),
        (200, get("/matched")),
        (200, get("/matched", {"X-Matching": "1"})),
        (404, get("/none")),
        (307, get("/plain/")),
        (405, post("/plain")),
    ],
    fallback=["GET /handled", "GET /by-hand", "GET /matched", "GET /by-itself", "GET /end"],
)
def routes_that_decide_for_themselves(trace: Trace) -> FastAPI:
    app = FastAPI()
    handling = APIRouter(route_class=Handling)
    handling.get("/handled")(lambda: "never")
    app.include_router(handling)

    @app.get("/plain")
    async def plain():
        return "plain"

    @app.get("/by-hand")
    async def by_hand():
        return "never"

    route: Any = app.router.routes[-1]

    async def instead(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("by hand")(scope, receive, send)

    route.handle = instead
    app.get("/by-itself")(lambda: "by itself")
    itself: Any = app.router.routes[-1]
    itself.matches = lambda scope: (Match.NONE, {})
    matching = APIRouter(route_class=Matching)
    matching.get("/matched")(lambda: "first")
    app.include_router(matching)
    app.get("/matched")(lambda: "second")
    app.get("/end")(lambda: "end")
    return app
