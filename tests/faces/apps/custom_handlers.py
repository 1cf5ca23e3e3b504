"""Route classes that put their own function around, or in the place of, FastAPI's request handler."""

import gzip
import json
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Body, Depends, FastAPI, Form, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.endpoints import HTTPEndpoint
from starlette.routing import Route

from ..case import case
from ..request import get, head, options, post
from ..trace import Trace, where

GZIPPED = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


def around(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> type[APIRoute]:
    """A route class whose handler is `wrap(FastAPI's own handler)`."""

    class Around(APIRoute):
        def get_route_handler(self) -> Callable[..., Any]:
            return wrap(super().get_route_handler())

    return Around


@case(
    [
        (200, post("/sum", json=[1, 2, 3])),
        (
            200,
            post(
                "/sum",
                {"Content-Type": "application/json", "Content-Encoding": "gzip"},
                body=gzip.compress(b"[1, 2]", mtime=0),
            ),
        ),
        (422, post("/sum", json=["x"])),
        (422, post("/sum", {"Content-Type": "application/json"}, body=b"{")),
        (405, get("/sum")),
    ]
)
def handler_with_a_request_of_its_own(trace: Trace) -> FastAPI:
    class GzipRequest(Request):
        async def body(self) -> bytes:
            if not hasattr(self, "_body"):
                body = await super().body()
                if "gzip" in self.headers.getlist("Content-Encoding"):
                    body = gzip.decompress(body)
                self._body = body
            return self._body

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handler(request: Request) -> Response:
            return await original(GzipRequest(request.scope, request.receive))

        return handler

    app = FastAPI()
    app.router.route_class = around(wrap)

    @app.post("/sum")
    async def total(numbers: Annotated[list[int], Body()]):
        trace("sum", numbers)
        return {"sum": sum(numbers)}

    return app


@case(
    [
        (200, post("/items", json={"name": "a"})),
        (422, post("/items", json={"name": 1})),
        (422, post("/items", {"Content-Type": "application/json"}, body=b'{"name": ')),
        (422, post("/items")),
    ]
)
def handler_that_tells_of_bad_bodies(trace: Trace) -> FastAPI:
    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handler(request: Request) -> Response:
            try:
                return await original(request)
            except RequestValidationError as error:
                body = await request.body()
                trace("refused", body)
                raise HTTPException(422, detail={"errors": len(error.errors()), "body": body.decode()}) from error

        return handler

    class Item(BaseModel):
        name: str

    app = FastAPI()
    app.router.route_class = around(wrap)

    @app.post("/items")
    def create(item: Item):
        trace("create", where())
        return item

    return app


@case(
    [
        (200, get("/fine")),
        (418, get("/raise/teapot")),
        (500, get("/raise/unhandled")),
        (409, get("/raise/known")),
        (404, get("/raise/http")),
        (200, get("/instead")),
        (500, get("/raise/group")),
        (200, get("/fine")),
    ]
)
def handler_that_raises(trace: Trace) -> FastAPI:
    class Known(Exception):
        pass

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handler(request: Request) -> Response:
            trace("in", request.url.path)
            kind = request.path_params.get("kind")
            if kind == "teapot":
                raise HTTPException(418, "teapot", headers={"X-Tea": "1"})
            if kind == "known":
                raise Known("k")
            if kind == "unhandled":
                raise LookupError("u")
            if kind == "group":
                raise ExceptionGroup("several", [ValueError(1), Known()])
            try:
                return await original(request)
            finally:
                trace("out")

        return handler

    app = FastAPI()
    app.router.route_class = around(wrap)

    @app.exception_handler(Known)
    async def known(request: Request, error: Known):
        trace("handler", request.scope["endpoint"].__name__)
        return JSONResponse({"known": str(error)}, 409)

    @app.get("/fine")
    async def fine():
        return "fine"

    @app.get("/raise/{kind}")
    async def raises(kind: str):
        raise HTTPException(404, kind)

    @app.get("/instead")
    def instead():
        return "instead"

    return app


@case(
    [
        (200, get("/yields?n=1")),
        (422, get("/yields?n=x")),
        (500, get("/yields?n=0")),
        (200, get("/tasks")),
        (200, get("/stream")),
        (200, head("/stream")),
        (200, get("/yields?n=2")),
        (200, get("/yields?n=2", {"Origin": "https://a.test", "Cookie": "a=1"})),
        (500, get("/yields?n=0", {"Origin": "https://a.test"})),
        (200, get("/swallowed?n=1")),
        (500, get("/swallowed?n=0")),
        (200, post("/upload", {"Content-Type": "application/x-www-form-urlencoded"}, body=b"a=1")),
        (422, post("/upload", {"Content-Type": "application/x-www-form-urlencoded"}, body=b"b=1")),
    ]
)
def handler_around_dependencies_that_yield(trace: Trace) -> FastAPI:
    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handler(request: Request) -> Response:
            trace("in")
            response = await original(request)
            trace("out", response.status_code)
            response.headers["X-Out"] = "1"
            return response

        return handler

    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["https://a.test"], allow_credentials=True)
    app.router.route_class = around(wrap)

    async def session():
        trace("enter")
        try:
            yield 7
        except ZeroDivisionError:
            trace("failed")
            raise
        finally:
            trace("exit")

    def sync_session(given: Annotated[int, Depends(session)]):
        trace("enter sync", given, where())
        yield given + 1
        trace("exit sync")

    @app.get("/yields")
    async def yields(n: int, one: Annotated[int, Depends(sync_session)]):
        trace("endpoint")
        return one // n

    def swallowing():
        try:
            yield
        except ZeroDivisionError:
            trace("swallowed")

    @app.get("/swallowed", dependencies=[Depends(swallowing)])
    async def swallowed(n: int):
        return 1 // n

    @app.post("/upload")
    async def upload(a: Annotated[int, Form()]):
        return a

    @app.get("/tasks")
    async def tasks(tasks: BackgroundTasks, one: Annotated[int, Depends(session)]):
        tasks.add_task(trace, "task", one)
        return "tasks"

    @app.api_route("/stream", methods=["GET", "HEAD"])
    async def stream(one: Annotated[int, Depends(session)]):
        async def parts():
            for n in range(3):
                trace("part", n)
                yield f"{n};"

        return StreamingResponse(parts())

    return app


@case(
    [
        (200, get("/cached")),
        (200, get("/cached")),
        (200, get("/cached?n=2")),
        (500, get("/none")),
        (500, get("/text")),
        (203, get("/callable")),
        (200, get("/early")),
        (500, get("/late")),
    ],
    steady=False,
)
def handler_in_the_place_of_fastapis(trace: Trace) -> FastAPI:
    kept: dict[str, Response] = {}

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handler(request: Request) -> Any:
            path = request.url.path
            if path == "/none":
                return None
            if path == "/text":
                return "text"
            if path == "/callable":

                async def answer(scope: Any, receive: Any, send: Any) -> None:
                    trace("answer", scope["path"])
                    await PlainTextResponse("callable", 203)(scope, receive, send)

                return answer
            if path == "/late":
                await original(request)
                raise RuntimeError("after FastAPI's handler")
            key = str(request.url)
            if key not in kept:
                kept[key] = await original(request)
            return kept[key]

        return handler

    app = FastAPI()
    app.router.route_class = around(wrap)

    @app.get("/cached")
    async def cached(n: int = 1):
        trace("computed", n)
        return {"n": n}

    for name in ("none", "text", "callable", "early", "late"):
        app.get(f"/{name}", name=name)(lambda: trace("endpoint") or "given")
    return app


@case(
    [
        (200, get("/sync/1")),
        (422, get("/sync/x")),
        (200, post("/sync/1", body=b"abc")),
        (200, get("/partial/2")),
        (200, get("/object/3")),
    ]
)
def custom_handlers_of_every_kind(trace: Trace) -> FastAPI:
    """FastAPI runs a `def` handler in a thread, as Starlette does; a callable object is told by its `__call__`."""
    import functools

    class SyncRoute(APIRoute):
        def get_route_handler(self) -> Any:
            def handler(request: Request) -> Response:
                trace("handler", where(), request.method)
                if request.path_params["n"] == "x":
                    raise RequestValidationError([{"loc": ["path", "n"], "msg": "no", "type": "no"}])
                return PlainTextResponse(f"{request.path_params}")

            return handler

    class PartialRoute(APIRoute):
        def get_route_handler(self) -> Any:
            async def handler(original: Any, request: Request) -> Response:
                trace("partial", where())
                return await original(request)

            return functools.partial(handler, super().get_route_handler())

    class ObjectRoute(APIRoute):
        def get_route_handler(self) -> Any:
            original = super().get_route_handler()

            class Handler:
                async def __call__(self, request: Request) -> Response:
                    trace("object", where())
                    return await original(request)

            return Handler()

    app = FastAPI()
    for name, route_class in (("sync", SyncRoute), ("partial", PartialRoute), ("object", ObjectRoute)):
        router = APIRouter(prefix=f"/{name}", route_class=route_class)

        @router.api_route("/{n}", methods=["GET", "POST"], name=name)
        async def read(n: int):
            trace("endpoint", n)
            return n

        app.include_router(router)
    return app


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
