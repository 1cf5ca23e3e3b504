"""Applications that change while they run."""

from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute

from ..case import Settled, case
from ..request import get, post
from ..trace import Trace


def add_route(app: FastAPI) -> None:
    @app.get("/added")
    async def added(n: int = 1):
        return ["added", n]


def add_first(app: FastAPI) -> None:
    app.router.routes.insert(0, APIRoute("/old", lambda: "a new one before the old", methods=["GET"]))


def remove(app: FastAPI) -> None:
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", "") != "/old"]


def include(app: FastAPI) -> None:
    router = APIRouter(prefix="/router")

    @router.get("/{n}")
    def read(n: int):
        return n

    app.include_router(router)


@case(
    [
        (200, get("/old")),
        (404, get("/added")),
        add_route,
        (200, get("/added?n=5")),
        Settled(200, get("/added?n=5")),
        (422, get("/added?n=x")),
        (405, post("/added")),
        (404, get("/router/5")),
        include,
        (200, get("/router/5")),
        Settled(200, get("/router/5")),
        (422, get("/router/x")),
        add_first,
        (200, get("/old")),
        Settled(200, get("/old")),
        remove,
        (404, get("/old")),
        (200, get("/added")),
        Settled(200, get("/added")),
        (404, get("/old")),
    ],
    wild=False,
)
def routes_changed_from_outside(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/old")
    async def old():
        return "old"

    return app


@case(
    [
        (404, get("/new/x")),
        (200, post("/routes/x")),
        (200, get("/new/x")),
        Settled(200, get("/new/x")),
        (200, post("/sync/y")),
        (200, get("/new/y")),
        (404, get("/new/z")),
        (200, post("/forget")),
        (404, get("/new/x")),
        Settled(200, post("/forget")),
        (404, get("/new/x")),
        (200, post("/routes/x")),
        (200, get("/new/x")),
    ],
    wild=False,
)
def routes_changed_by_handlers(trace: Trace) -> FastAPI:
    app = FastAPI()

    def add(name: str) -> None:
        app.add_api_route(f"/new/{name}", lambda: name, methods=["GET"])

    @app.post("/routes/{name}")
    async def by_async(name: str):
        add(name)
        return len(app.routes) > 0

    @app.post("/sync/{name}")
    def by_sync(name: str):
        add(name)

    @app.post("/forget")
    async def forget():
        app.router.routes = [route for route in app.router.routes if not getattr(route, "path", "").startswith("/new/")]

    return app


class Trouble(Exception):
    pass


async def troubled(request: Request, error: Exception):
    return PlainTextResponse("troubled", 418)


@case(
    [
        (418, get("/raise")),
        (200, get("/fine")),
        lambda app: app.add_exception_handler(KeyError, troubled),
        ({418, 500}, get("/key")),
        ({418, 500}, get("/key")),
        lambda app: app.exception_handlers.pop(Trouble),
        ({418, 500}, get("/raise")),
    ],
    wild=False,
)
def exception_handlers_changed(trace: Trace) -> FastAPI:
    """Starlette builds its stack once, so what is registered after the first request has no effect: the same here."""
    app = FastAPI()
    app.add_exception_handler(Trouble, troubled)

    @app.get("/raise")
    async def raises():
        raise Trouble

    @app.get("/key")
    async def key():
        raise KeyError("k")

    @app.get("/fine")
    async def fine():
        return "fine"

    return app


def register(app: FastAPI) -> None:
    app.add_exception_handler(KeyError, troubled)


def rebuild(app: FastAPI) -> None:
    app.middleware_stack = None


@case(
    [
        (500, get("/key")),
        (500, get("/trouble")),
        register,
        (500, get("/key")),
        rebuild,
        (418, get("/key")),
        Settled(418, get("/key")),
        (418, get("/trouble")),
    ],
    wild=False,
)
def exception_handlers_registered_too_late(trace: Trace) -> FastAPI:
    """The stack is built when lifespan begins: what start-up registers comes too late, until it is built anew."""

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        app.add_exception_handler(Trouble, troubled)
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/key")
    async def key():
        raise KeyError("k")

    @app.get("/trouble")
    def trouble():
        raise Trouble

    return app


@case(
    [
        (200, get("/openapi.json")),
        (200, get("/x?n=1")),
        lambda app: setattr(app, "openapi", lambda: {"replaced": True}),
        (200, get("/openapi.json")),
        lambda app: setattr(app.state, "value", 2),
        (200, get("/x?n=2")),
        lambda app: setattr(app.router, "redirect_slashes", False),
        (404, get("/x/")),
        lambda app: setattr(app.router, "redirect_slashes", True),
        (307, get("/x/")),
        Settled(200, get("/x?n=3")),
        (307, get("/x/")),
        (422, get("/x")),
    ],
    wild=False,
)
def settings_changed(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.state.value = 1

    @app.get("/x")
    async def x(request: Request, n: int):
        return [n, request.app.state.value]

    return app


def swap(app: FastAPI) -> None:
    routes = app.router.routes
    first, second = (
        next(route for route in routes if getattr(route, "name", "") == name) for name in ("first", "second")
    )
    one, two = routes.index(first), routes.index(second)
    routes[one], routes[two] = second, first


def extend(app: FastAPI) -> None:
    @app.state.router.get("/later")
    def later(n: int = 2):
        return ["later", n]


@case(
    [
        (200, get("/x/1")),
        swap,
        (200, get("/x/1")),
        Settled(200, get("/x/1")),
        (200, get("/x/y")),
        ({200, 404}, get("/router/later")),
        extend,
        ({200, 404}, get("/router/later")),
        ({200, 404}, get("/router/later")),
        (200, get("/router/now")),
        lambda app: app.mount("/mounted", PlainTextResponse("mounted")),
        (200, get("/mounted/x")),
        (200, get("/x/1")),
        Settled(200, get("/x/1")),
        (307, get("/mounted")),
        lambda app: app.router.routes.clear(),
        (404, get("/x/1")),
        (404, get("/openapi.json")),
    ],
    wild=False,
)
def order_and_routers_changed(trace: Trace) -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/router")

    @app.get("/x/{name}")
    async def first(name: str):
        return ["first", name]

    @app.get("/x/{name}")
    async def second(name: str):
        return ["second", name]

    @router.get("/now")
    async def now():
        return "now"

    app.include_router(router)
    app.state.router = router
    return app


@case(
    [
        (404, get("/nowhere")),
        lambda app: setattr(app.router, "default", PlainTextResponse("replaced", 410)),
        (410, get("/nowhere")),
        (200, get("/x")),
        lambda app: setattr(app, "root_path", "/prefix"),
        (200, get("/prefix/x")),
        (200, get("/where")),
        lambda app: setattr(app, "debug", True),
        (200, get("/x")),
    ],
    wild=False,
)
def inner_parts_changed(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/x")
    async def x():
        return "x"

    @app.get("/where")
    async def where(request: Request):
        return [request.scope["root_path"], str(request.url_for("x"))]

    return app


@case(
    [
        (200, get("/")),
        (200, post("/override")),
        (200, get("/")),
        (200, post("/restore")),
        (200, get("/")),
        Settled(200, get("/")),
    ],
    wild=False,
)
def overrides_changed_by_handlers(trace: Trace) -> FastAPI:
    app = FastAPI()

    def original():
        return "original"

    @app.get("/")
    async def read(value: Annotated[str, Depends(original)]):
        return value

    @app.post("/override")
    async def override():
        app.dependency_overrides[original] = lambda: "override"

    @app.post("/restore")
    def restore():
        del app.dependency_overrides[original]

    return app
