"""Applications that reach into the framework, as real ones do."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute

from ..case import case
from ..request import get, head, post
from ..trace import Trace


def small(app: Any, trace: Trace) -> Any:
    @app.get("/items/{n}")
    async def item(n: int):
        trace("item", n)
        return {"n": n}

    @app.get("/sync")
    def sync():
        return "sync"

    @app.get("/raises")
    async def raises():
        raise HTTPException(403)

    return app


ASKS = [
    (200, get("/items/5")),
    (422, get("/items/x")),
    (200, get("/sync")),
    (403, get("/raises")),
    (404, get("/nowhere")),
    (405, post("/sync")),
    ({307, 404}, get("/sync/")),
    (200, get("/items/6", {"Origin": "https://a.test"})),
]


@case(ASKS, fallback=["*"])
def subclass_with_a_call_of_its_own(trace: Trace) -> FastAPI:
    class Mine(FastAPI):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            trace("called", scope["type"])

            async def marked(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message["headers"].append((b"x-mine", b"1"))
                await send(message)

            await super().__call__(scope, receive, marked if scope["type"] == "http" else send)

    return small(Mine(), trace)


@case(ASKS, fallback=["*"])
def stack_of_its_own(trace: Trace) -> FastAPI:
    class Mine(FastAPI):
        def build_middleware_stack(self) -> Any:
            inner = super().build_middleware_stack()

            async def outer(scope: Any, receive: Any, send: Any) -> None:
                trace("outer", scope["type"])
                await inner(scope, receive, send)

            return outer

    return small(Mine(), trace)


@case(ASKS, fallback=["*"])
def stack_replaced_on_the_instance(trace: Trace) -> FastAPI:
    app = small(FastAPI(), trace)
    build = app.build_middleware_stack

    def wrapped() -> Callable[..., Any]:
        inner = build()

        async def outer(scope: Any, receive: Any, send: Any) -> None:
            trace("outer", scope["type"])
            await inner(scope, receive, send)

        return outer

    app.build_middleware_stack = wrapped
    return app


@case([*ASKS, (200, get("/plain"))])
def subclass_that_only_adds(trace: Trace) -> FastAPI:
    class Mine(FastAPI):
        def __init__(self, **settings: Any) -> None:
            super().__init__(title="Mine", **settings)
            self.extra = "extra"

    app = small(Mine(), trace)

    @app.get("/plain")
    async def plain(request: Request):
        return request.app.extra

    return app


@case([*ASKS, (200, get("/own/1")), (422, get("/own/x")), (200, get("/late/1")), (404, get("/own/2/"))], fallback=["*"])
def routes_of_their_own(trace: Trace) -> FastAPI:
    app = small(FastAPI(), trace)

    class Matching(APIRoute):
        def matches(self, scope: Any) -> Any:
            trace("matches", scope["path"])
            return super().matches(scope)

    class Handling(APIRoute):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            trace("handle", scope["path"])
            await super().handle(scope, receive, send)

    own = APIRouter(route_class=Matching, prefix="/own", redirect_slashes=False)
    late = APIRouter(route_class=Handling, prefix="/late")

    @own.get("/{n}")
    async def read(n: int):
        return n

    @late.get("/{n}")
    def read_late(n: int):
        return n

    app.include_router(own)
    app.include_router(late)
    app.router.redirect_slashes = False
    return app


@case(
    [(200, get("/wrapped")), (200, get("/unwrapped")), (200, post("/body", json={"a": 1})), (200, get("/wrapped"))],
    fallback=["*"],
)
def routes_rewritten(trace: Trace) -> FastAPI:
    """The application of a route is replaced after it has been made."""
    app = FastAPI()

    @app.get("/wrapped")
    async def wrapped():
        return "wrapped"

    @app.get("/unwrapped")
    async def unwrapped():
        return "unwrapped"

    class Reversing(Request):
        async def body(self) -> bytes:
            trace("body")
            return await super().body()

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[..., Any]:
            original = super().get_route_handler()

            async def handler(request: Request) -> Response:
                return await original(Reversing(request.scope, request.receive))

            return handler

    router = APIRouter(route_class=Route)

    @router.post("/body")
    async def body(item: dict[str, int]):
        return item

    app.include_router(router)
    route = next(route for route in app.routes if getattr(route, "path", None) == "/wrapped")
    inner = route.app

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        trace("outer")
        await inner(scope, receive, send)

    route.app = outer
    return app


@case([(204, get("/nowhere")), (200, get("/items/1")), (403, get("/raises")), (307, get("/sync/"))], fallback=["*"])
def default_of_the_router_replaced(trace: Trace) -> FastAPI:
    app = small(FastAPI(), trace)

    async def default(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            trace("default", scope["path"])
            await Response(status_code=204)(scope, receive, send)

    app.router.default = default
    return app


@case(
    [(200, get(f"/{name}")) for name in ("call", "render", "headers", "shared", "mutated", "stateful")]
    + [({200, 500}, get("/callable"))]
    + [(200, get("/shared")), (200, head("/call")), (200, get("/stateful"))],
)
def responses_of_their_own(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Calling(PlainTextResponse):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            trace("call", scope["path"])
            self.headers["X-Called"] = "1"
            await super().__call__(scope, receive, send)

    class Rendering(JSONResponse):
        charset = "latin-1"
        media_type = "text/odd"

        def render(self, content: Any) -> bytes:
            return str(content).encode(self.charset)

    class Heading(PlainTextResponse):
        def init_headers(self, headers: Any = None) -> None:
            super().init_headers({"X-Init": "1", **(headers or {})})

    shared = PlainTextResponse("the same object every time", headers={"X-Shared": "1"})

    class Counting:
        made = 0

        async def __call__(self) -> Response:
            Counting.made += 1
            return PlainTextResponse("made")

    @app.api_route("/call", methods=["GET", "HEAD"])
    async def call():
        return Calling("called")

    @app.get("/render", response_class=Rendering)
    async def render() -> str:
        return "caf\u00e9"

    @app.get("/headers")
    def headers():
        return Heading("h", headers={"X-More": "2"})

    @app.get("/shared")
    async def always_the_same():
        return shared

    @app.get("/mutated")
    async def mutated():
        response = JSONResponse([1])
        response.status_code = 200
        response.headers["X-Later"] = "1"
        del response.headers["content-type"]
        response.body = b"[2]"
        return response

    @app.get("/stateful")
    def stateful(response: Response):
        response.headers["X-Seen"] = str("x-seen" in response.headers)
        return {"a": 1}

    app.get("/callable", name="callable")(Counting())
    return app
