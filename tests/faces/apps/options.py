"""Every parameter of FastAPI(), APIRouter() and of what declares routes, given at least once.

`test_options.py` compares with the installed FastAPI, so a new parameter is missed by name. It goes into the
tables below; a release that does not have it yet does not get it.
"""

import inspect
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import Route

from ..case import case
from ..request import Request as Asked
from ..request import get, post, request
from ..trace import Trace

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Item(BaseModel):
    name: str = "n"
    note: str | None = None
    price: float = 1.5


class Marked(JSONResponse):
    media_type = "application/marked+json"


def callback_router() -> APIRouter:
    router = APIRouter()

    @router.post("{$callback_url}/done")
    def done(item: Item):
        """Told when it is done."""

    return router


def route_options(trace: Trace) -> dict[str, Any]:
    """Every option of a route's decorator beside its path."""
    return {
        "response_model": Item,
        "status_code": 203,
        "tags": ["one", "two"],
        "dependencies": [Depends(lambda: trace("dependency"))],
        "summary": "A summary",
        "description": "A *description*.",
        "response_description": "What comes",
        "responses": {404: {"description": "Missing", "model": Item}},
        "deprecated": True,
        "operation_id": "the-operation",
        "response_model_include": {"name", "price", "note"},
        "response_model_exclude": {"price"},
        "response_model_by_alias": False,
        "response_model_exclude_unset": True,
        "response_model_exclude_defaults": True,
        "response_model_exclude_none": True,
        "include_in_schema": True,
        "response_class": Marked,
        "name": "the-name",
        "callbacks": callback_router().routes,
        "openapi_extra": {"x-extra": {"a": 1}},
        "generate_unique_id_function": lambda route: f"unique-{route.name}",
        "max_body_size": 1000,
        "form_limits": {"max_fields": 5},
        "strict_content_type": False,
    }


def known(function: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options that this release has."""
    parameters = inspect.signature(function).parameters
    return {name: value for name, value in options.items() if name in parameters}


def asked(path: str) -> list[tuple[int, Asked]]:
    return [(203, request(method.upper(), f"{path}/{method}")) for method in METHODS]


def endpoint() -> Item:
    return Item(name="given", note=None, price=2.5)


@case([*asked(""), (200, get("/openapi.json")), (405, post("/get"))], wild=False)
def options_of_decorators(trace: Trace) -> FastAPI:
    app = FastAPI()
    for method in METHODS:
        add = getattr(app, method)
        add(f"/{method}", **known(add, {**route_options(trace), "operation_id": method, "name": method}))(endpoint)
    return app


@case([*asked("/r"), (200, get("/openapi.json"))], wild=False)
def options_of_a_routers_decorators(trace: Trace) -> FastAPI:
    router = APIRouter()
    for method in METHODS:
        add = getattr(router, method)
        add(f"/{method}", **known(add, {**route_options(trace), "operation_id": method, "name": method}))(endpoint)
    app = FastAPI()
    app.include_router(router, prefix="/r")
    return app


@case(
    [
        (203, request(method, path))
        for path in ("/api", "/added", "/r/api", "/r/added", "/r/override")
        for method in ("GET", "PATCH")
    ]
    + [(405, post("/api")), (200, get("/openapi.json"))],
    wild=False,
)
def options_of_added_routes(trace: Trace) -> FastAPI:
    class Noting(APIRoute):
        def get_route_handler(self) -> Any:
            original = super().get_route_handler()

            async def handler(request: Request) -> Response:
                trace("noting")
                return await original(request)

            return handler

    router = APIRouter()
    app = FastAPI()
    for prefix, target in (("a", app), ("r", router)):
        options = {**route_options(trace), "methods": ["GET", "PATCH"]}
        options |= {"operation_id": f"{prefix}-api", "name": f"{prefix}-api"}
        target.api_route("/api", **known(target.api_route, options))(endpoint)
        options |= {"operation_id": f"{prefix}-added", "name": f"{prefix}-added"}
        target.add_api_route("/added", endpoint, **known(target.add_api_route, options))
    options |= {"operation_id": "override", "name": "override", "route_class_override": Noting}
    del options["max_body_size"], options["form_limits"]
    router.add_api_route("/override", endpoint, **known(router.add_api_route, options))
    app.include_router(router, prefix="/r")
    return app


@case(
    [
        (200, get("/v1/plain")),
        (200, get("/v1/inner/deep")),
        (200, get("/v2/inner/deep")),
        (404, get("/v1/nothing")),
        (404, get("/v1/plain/")),
        (200, post("/v1/any", {"Content-Type": ""}, body=b'{"name": "x"}')),
        (200, get("/openapi.json")),
        (200, get("/v1/starlette")),
    ],
    fallback=["GET /v1/starlette"],
    wild=False,
)
def options_of_routers(trace: Trace) -> FastAPI:
    app = FastAPI(redirect_slashes=False)

    async def starlette(request: Request) -> Response:
        return PlainTextResponse("starlette")

    async def default(scope: Any, receive: Any, send: Any) -> None:
        trace("never: an included router has no default of its own")

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        trace("router up")
        yield
        trace("router down")

    shared: dict[str, Any] = {
        "tags": ["shared"],
        "dependencies": [Depends(lambda: trace("router's dependency"))],
        "default_response_class": Marked,
        "responses": {410: {"description": "Gone"}},
        "callbacks": callback_router().routes,
        "deprecated": True,
        "include_in_schema": True,
        "generate_unique_id_function": lambda route: f"router-{route.name}",
        "strict_content_type": False,
    }
    options = {
        **shared,
        "prefix": "/v1",
        "routes": [Route("/v1/starlette", starlette)],
        "redirect_slashes": False,
        "default": default,
        "dependency_overrides_provider": app,
        "route_class": APIRoute,
        "lifespan": lifespan,
    }
    router = APIRouter(**known(APIRouter, options))
    router.get("/plain")(lambda: "plain")

    @router.post("/any")
    async def anything(item: Item):
        return item

    inner = APIRouter()
    inner.get("/deep")(lambda: "deep")
    inclusion = {**shared, "prefix": "/inner", "max_body_size": None, "form_limits": {"max_fields": 5}}
    router.include_router(inner, **known(router.include_router, inclusion))
    app.include_router(router)
    app.include_router(inner, **known(app.include_router, {**inclusion, "prefix": "/v2/inner"}))
    return app


@case(
    [(413, post("/limited/", json={"name": "x" * 100})), (200, post("/limited/", json={})), (200, get("/limited/"))],
    wild=False,
    since=("0.164.0", "max_body_size"),
    fallback=["*"],
)
def limits_of_routers(trace: Trace) -> FastAPI:
    router = APIRouter(
        prefix="/limited", max_body_size=50, form_limits={"max_fields": 2}, on_startup=[], on_shutdown=[]
    )

    @router.post("/")
    async def create(item: Item):
        return item

    router.get("/")(lambda: "read")
    app = FastAPI(max_body_size=1000, form_limits={"max_fields": 3})
    app.include_router(router)
    return app


@case([(200, get("/")), (200, get("/s"))], wild=False)
def events(trace: Trace) -> FastAPI:
    router = APIRouter(
        on_startup=[lambda: trace("router starts")], on_shutdown=[lambda: trace("router stops")], prefix="/s"
    )
    router.get("")(lambda: "s")
    app = FastAPI(on_startup=[lambda: trace("starts")], on_shutdown=[lambda: trace("stops")])

    @app.on_event("startup")
    async def started():
        trace("started")

    @router.on_event("shutdown")
    def stopped():
        trace("router stopped")

    app.router.add_event_handler("startup", lambda: trace("added"))
    app.include_router(router)
    app.get("/")(lambda: "root")
    return app
