"""Which route answers: order, methods, slashes, routers, mounts, prefixes."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.routing import Host, Mount, Route

from ..case import case
from ..request import delete, get, head, options, post, put, request
from ..trace import Trace


@case(
    [
        (200, get(path))
        for path in ("/users/me", "/users/x", "/items/special", "/items/1", "/a/b/c", "/a/b/d", "/any/thing/else")
    ]
    + [(405, post("/users/me")), (200, post("/items/special")), (422, get("/items/x")), (405, put("/users/me"))]
    + [(200, delete("/both")), (200, get("/both")), (200, post("/both")), (405, put("/both"))]
)
def order_of_declaration(trace: Trace) -> FastAPI:
    """The first full match wins, even where a later route is more specific."""
    app = FastAPI()

    @app.get("/users/{name}")
    async def user(name: str):
        return ["user", name]

    @app.get("/users/me")
    async def me():
        return "never"

    @app.get("/items/special")
    async def special():
        return "special"

    @app.get("/items/{number}")
    async def item(number: int):
        return ["item", number]

    @app.post("/items/{name}")
    async def post_item(name: str):
        return ["posted", name]

    @app.get("/a/{x}/c")
    async def first(x: str):
        return ["first", x]

    @app.get("/a/b/{y}")
    def second(y: str):
        return ["second", y]

    @app.get("/any/{rest:path}")
    async def rest(rest: str):
        return ["rest", rest]

    @app.get("/any/thing/else")
    async def shadowed():
        return "never"

    @app.api_route("/both", methods=["GET", "POST"])
    async def both():
        return "both"

    @app.delete("/both")
    async def other():
        return "deleted"

    return app


@case(
    [
        (404, get("/")),
        (404, get("/nothing")),
        (405, post("/one")),
        (405, put("/one")),
        (405, options("/one")),
        (405, head("/one")),
        (405, request("PATCH", "/two")),
        (405, request("BREW", "/two")),
        (404, post("/one/two")),
        (404, get("/ONE")),
        (404, get("//one")),
        (307, get("/one//")),
        (200, get("/one?")),
        (200, get("/o%6ee")),
        (307, get("/one%2F")),
        (404, get("/./one")),
        (200, get("/caf%C3%A9")),
        (200, get("/a.b")),
        (404, get("/aXb")),
        (405, post("/p/5")),
        (405, post("/p/x")),
    ]
)
def not_found_and_not_allowed(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/one")
    async def one():
        return 1

    @app.api_route("/two", methods=["POST", "PUT", "DELETE"])
    def two():
        return 2

    @app.get("/caf\u00e9")
    async def cafe():
        return "cafe"

    @app.get("/a.b")
    async def dotted():
        return "dotted"

    @app.get("/p/{n}")
    async def typed(n: int):
        return n

    return app


@case(
    [
        (307, get("/with")),
        (200, get("/with/")),
        (307, get("/without/")),
        (200, get("/without")),
        (307, get("/with?a=1&b=%20")),
        (307, post("/with", json={"a": 1})),
        (307, get("/deep/1")),
        (307, get("/without//")),
        (307, get("/with", {"Host": "shop.example:8080"})),
        (307, get("/with", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "else.where"})),
        (307, head("/with")),
        ({307, 404}, get("/caf%C3%A9")),
        ({307, 404, 405}, post("/without/")),
        (307, get("/sp%20ace/")),
        (404, get("/withx")),
        (200, get("/")),
    ]
)
def slash_redirects(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def root():
        return "root"

    @app.api_route("/with/", methods=["GET", "POST", "HEAD"])
    async def with_slash():
        return "with"

    @app.get("/without")
    async def without():
        return "without"

    @app.get("/deep/{n}/")
    async def deep(n: int):
        return n

    @app.get("/caf\u00e9/")
    async def cafe():
        return "cafe"

    @app.get("/sp ace")
    async def space():
        return "space"

    return app


@case([(404, get("/with")), (404, get("/without/")), (200, get("/with/")), (404, get("/x/"))])
def no_slash_redirects(trace: Trace) -> FastAPI:
    app = FastAPI(redirect_slashes=False)

    @app.get("/with/")
    async def with_slash():
        return "with"

    @app.get("/without")
    async def without():
        return "without"

    @app.get("/x")
    async def x():
        return "x"

    return app


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


@case(
    [(200, get("/timed")), (200, get("/plain")), (422, get("/timed?n=x")), (404, get("/none"))], fallback=["GET /timed"]
)
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
    [
        (200, get("/docs")),
        (200, get("/redoc")),
        (200, get("/openapi.json")),
        (200, get("/docs/oauth2-redirect")),
        (200, head("/docs")),
        (405, post("/docs")),
        (200, get("/docs?x=1")),
    ],
    fallback=["*"],
)
def documentation_pages(trace: Trace) -> FastAPI:
    app = FastAPI(title="Documented", version="2")

    @app.get("/x/{n}")
    async def x(n: int, q: Annotated[str | None, "text"] = None) -> dict[str, int]:
        return {"n": n}

    return app


@case([(404, get("/docs")), (404, get("/openapi.json")), (200, get("/reference")), (200, get("/x"))])
def documentation_moved(trace: Trace) -> FastAPI:
    app = FastAPI(docs_url="/reference", redoc_url=None, openapi_url="/schema")

    @app.get("/x")
    async def x():
        return "x"

    return app
