"""Custom route classes among other routes, and routes of Starlette."""

import json
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from starlette.endpoints import HTTPEndpoint
from starlette.routing import Route

from ..case import case
from ..request import get, head, options, post
from ..trace import Trace, where
from .custom_handlers import around


@case(
    [
        (200, get("/early/1")),
        (200, get("/late/1")),
        (200, get("/deep/v1/x/00000000-0000-0000-0000-00000000000a/1.5/a/b")),
        (404, get("/deep/v1/x/no/1.5/a")),
        (200, get("/where/5")),
        (405, post("/late/1")),
        (200, options("/late/1")),
    ],
    # Starlette before 0.40 knew UUIDs in lower case only.
    fallback=["GET /deep/v1/x/{key:uuid}/{f:float}/{rest:path}"],
)
def route_class_set_early_and_late(trace: Trace) -> FastAPI:
    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handler(request: Request) -> Response:
            trace("handler", request.scope["path_params"], request.scope["route"].path)
            request.state.by_handler = 1
            return await original(request)

        return handler

    noted = around(wrap)
    app = FastAPI()

    @app.get("/early/{n}")
    async def early(n: int, request: Request):
        return [n, hasattr(request.state, "by_handler")]

    app.router.route_class = noted

    @app.api_route("/late/{n}", methods=["GET", "OPTIONS"])
    async def late(n: int, request: Request):
        return [n, request.state.by_handler]

    inner = APIRouter(prefix="/x", dependencies=[Depends(lambda: trace("inner dependency"))])
    inner.route_class = noted

    @inner.get("/{key:uuid}/{f:float}/{rest:path}")
    def deep(key: UUID, f: float, rest: str):
        return [key, f, rest]

    outer = APIRouter(prefix="/v1", dependencies=[Depends(lambda: trace("outer dependency"))])
    outer.include_router(inner)
    app.include_router(outer, prefix="/deep")

    own = APIRouter(route_class=noted)

    @own.get("/where/{n:int}")
    async def place(n: int, request: Request):
        scope = request.scope
        return {
            "endpoint": scope["endpoint"].__name__,
            "app": scope["app"] is app,
            "router": scope["router"] is app.router,
            "url": str(request.url_for("place", n=n)),
            "params": repr(scope["path_params"]),
            "body": (await request.body()).decode(),
        }

    app.include_router(own)
    return app


@case(
    [
        (200, get("/echo?a=1&a=2", {"X-Key": "k", "Cookie": "c=1"})),
        (200, post("/echo", {"Content-Type": "text/plain"}, body=b"x" * 70_000)),
        (200, post("/echo", body=b"chunked body", chunks=[3, 4])),
        (200, post("/json", json={"a": [1, 2]})),
        (200, post("/json", {"Content-Type": "application/json"}, body=b"null")),
        (200, post("/form", {"Content-Type": "application/x-www-form-urlencoded"}, body=b"a=1&b=2")),
    ]
)
def handler_that_reads_by_itself(trace: Trace) -> FastAPI:
    class Reading(APIRoute):
        def get_route_handler(self) -> Any:
            async def handler(request: Request) -> Response:
                path = request.url.path
                if path == "/json":
                    return JSONResponse({"json": await request.json()})
                if path == "/form":
                    form = await request.form()
                    return JSONResponse({"form": form.multi_items()})
                size = 0
                async for part in request.stream():
                    size += len(part)
                return JSONResponse(
                    {
                        "size": size,
                        "query": request.query_params.multi_items(),
                        "key": request.headers.get("x-key"),
                        "cookies": request.cookies,
                        "host": str(request.url),
                    }
                )

            return handler

    app = FastAPI()
    app.router.route_class = Reading
    for name in ("echo", "json", "form"):
        app.api_route(f"/{name}", methods=["GET", "POST"], name=name)(lambda: None)
    return app


@case(
    [
        (200, get("/v1/items?limit=3")),
        (422, get("/v1/items?limit=100")),
        (200, get("/v1/items", {"Accept": "text/plain"})),
        ({401, 403}, get("/v1/secret")),
        (200, get("/v1/secret", {"Authorization": "Bearer t"})),
    ]
)
def handler_that_wraps_answers(trace: Trace) -> FastAPI:
    """An envelope around every answer of a router: the commonest use of a custom route."""
    from fastapi.security import HTTPBearer

    class Envelope(APIRoute):
        def get_route_handler(self) -> Any:
            original = super().get_route_handler()

            async def handler(request: Request) -> Response:
                response = await original(request)
                if request.headers.get("accept") == "text/plain":
                    return PlainTextResponse(bytes(response.body))
                made = JSONResponse({"data": json.loads(bytes(response.body))}, response.status_code)
                made.headers["X-Operation"] = self.operation_id or self.name
                return made

            return handler

    router = APIRouter(prefix="/v1", route_class=Envelope)

    @router.get("/items", operation_id="list-items")
    async def items(limit: Annotated[int, Query(le=10)] = 2):
        return list(range(limit))

    @router.get("/secret")
    def secret(token: Annotated[Any, Depends(HTTPBearer())]):
        return token.credentials

    app = FastAPI()
    app.include_router(router)
    return app


@case(
    [
        (200, get("/async/1")),
        (404, get("/async/x")),
        (200, get("/sync/1.5")),
        (200, head("/sync/1.5")),
        (405, post("/sync/1.5")),
        (200, post("/post", body=b"body")),
        (418, get("/raises")),
        (200, get("/class")),
        (405, post("/class")),
        (200, get("/decorated")),
    ],
    fallback=["* /class"],
)
def starlette_routes(trace: Trace) -> FastAPI:
    """Starlette's routes take a Request and give a response."""
    app = FastAPI()

    async def number(request: Request) -> Response:
        trace("async", where(), "route" in request.scope)
        return PlainTextResponse(repr(request.path_params))

    def sync(request: Request) -> Response:
        trace("sync", where())
        return JSONResponse({"f": request.path_params["f"], "endpoint": request.scope["endpoint"].__name__})

    async def read(request: Request) -> Response:
        return Response(await request.body(), media_type="text/odd")

    async def raises(request: Request) -> Response:
        raise HTTPException(418, headers={"X-Tea": "1"})

    class Endpoint(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return PlainTextResponse("class")

    app.add_route("/async/{n:int}", number)
    app.router.routes.append(Route("/sync/{f:float}", sync))
    app.router.routes.append(Route("/post", read, methods=["POST"]))
    app.router.routes.append(Route("/raises", raises))
    app.router.routes.append(Route("/class", Endpoint))

    @app.get("/decorated")
    async def decorated():
        return "decorated"

    return app


@case(
    [
        (200, get("/a", {"Origin": "https://a.test"})),
        (422, get("/a?n=x", {"Origin": "https://a.test"})),
        (500, get("/a?n=0")),
        (200, get("/plain")),
        (200, get("/sync")),
        (200, get("/docs")),
    ],
    fallback=["*"],
    wild=False,
)
def handlers_behind_middleware(trace: Trace) -> FastAPI:
    """Middleware sees all that a handler sends, whoever sends it."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handler(request: Request) -> Response:
            trace("handler", request.state.by_middleware)
            return await original(request)

        return handler

    class Sync(APIRoute):
        def get_route_handler(self) -> Any:
            def handler(request: Request) -> Response:
                trace("sync", where(), request.state.by_middleware)
                return PlainTextResponse("sync")

            return handler

    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["https://a.test"])

    @app.middleware("http")
    async def mark(request: Request, call_next: Any) -> Response:
        trace("in")
        request.state.by_middleware = 1
        response = await call_next(request)
        response.headers["X-Mark"] = str(response.status_code)
        trace("out", response.status_code)
        return response

    app.router.route_class = around(wrap)

    def session():
        trace("enter")
        yield 6
        trace("exit")

    @app.get("/a")
    async def divide(six: Annotated[int, Depends(session)], n: int = 2):
        return six // n

    app.get("/plain")(lambda: "plain")
    router = APIRouter(route_class=Sync)
    router.get("/sync")(lambda: "never")
    app.include_router(router)
    return app
