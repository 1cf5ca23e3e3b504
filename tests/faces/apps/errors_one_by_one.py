"""One way to fail, or to handle it, per application."""

from typing import Any

import anyio
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from ..case import case
from ..request import delete, get, head, post, put
from ..trace import Trace, where


class Own(Exception):
    pass


class Narrow(Own):
    pass


def raising(app: Any, path: str, make: Any) -> None:
    """Routes `path` and `path`/sync that raise what `make()` gives."""

    @app.get(path, name=path)
    async def raises():
        raise make()

    @app.get(f"{path}/sync", name=f"{path}/sync")
    def raises_sync():
        raise make()


@case([(418, get("/own")), (418, get("/own/sync")), (418, get("/narrow")), (500, get("/other"))], wild=False)
def async_handler_of_a_class(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(Own)
    async def handle(request: Request, error: Own):
        trace("handle", type(error).__name__, where(), request.url.path)
        return JSONResponse({"error": str(error)}, 418, {"X-Error": "1"})

    raising(app, "/own", lambda: Own("o"))
    raising(app, "/narrow", lambda: Narrow("n"))
    raising(app, "/other", lambda: KeyError("k"))
    return app


@case([(418, get("/own")), (418, get("/own/sync")), (419, get("/narrow"))], wild=False)
def sync_handlers_by_the_nearest_class(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(Own)
    def handle(request: Request, error: Own):
        trace("own", where())
        return PlainTextResponse("own", 418)

    @app.exception_handler(Narrow)
    def handle_narrow(request: Request, error: Narrow):
        trace("narrow", where())
        return PlainTextResponse("narrow", 419)

    raising(app, "/own", Own)
    raising(app, "/narrow", Narrow)
    return app


@case(
    [
        (200, get("/raised")),
        (200, get("/raised/sync")),
        (200, get("/nowhere")),
        (405, post("/raised")),
        (403, get("/f")),
    ],
    wild=False,
)
def handler_of_a_status(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(404)
    async def missing(request: Request, error: Any):
        trace("404", error.detail, "endpoint" in request.scope)
        return PlainTextResponse("instead", 200)

    raising(app, "/raised", lambda: HTTPException(404, "raised"))
    raising(app, "/f", lambda: HTTPException(403))
    return app


@case([(405, post("/")), (405, delete("/n/1")), (404, get("/none")), (405, put("/n/1"))], wild=False)
def handler_of_405(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(405)
    def refused(request: Request, error: Any):
        trace("405", sorted(error.headers["Allow"].split(", ")), request.method)
        return JSONResponse({"allow": error.headers["Allow"]}, 405)

    @app.get("/")
    async def root():
        return "root"

    @app.get("/n/{n}")
    def number(n: int):
        return n

    return app


@case([(500, get("/own")), (500, get("/own/sync")), (404, get("/http")), (200, get("/fine"))], wild=False)
def handler_of_500(trace: Trace) -> FastAPI:
    app = FastAPI(exception_handlers={500: lambda request, error: PlainTextResponse(f"500 {error!r}", 500)})
    raising(app, "/own", lambda: Own("x"))
    raising(app, "/http", lambda: HTTPException(404))
    app.get("/fine")(lambda: "fine")
    return app


@case([(500, get("/own")), (503, get("/http")), (422, get("/q?n=x")), (404, get("/none"))], wild=False)
def handler_of_exception(trace: Trace) -> FastAPI:
    async def everything(request: Request, error: Exception) -> Response:
        trace("everything", type(error).__name__)
        return JSONResponse({"error": type(error).__name__}, 500)

    app = FastAPI(exception_handlers={Exception: everything})
    raising(app, "/own", Own)
    raising(app, "/http", lambda: HTTPException(503, headers={"Retry-After": "5"}))

    @app.get("/q")
    async def query(n: int):
        return n

    return app


@case([(400, get("/?n=x")), (400, get("/")), (400, post("/", json={"a": "b"})), (200, get("/?n=1"))], wild=False)
def handler_of_validation(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError):
        trace("invalid", error.body)
        return JSONResponse({"errors": [[*e["loc"], e["type"]] for e in error.errors()], "body": error.body}, 400)

    @app.get("/")
    async def read(n: int):
        return n

    class Item(BaseModel):
        a: int

    @app.post("/")
    async def create(item: Item):
        return item

    return app


@case([(502, get("/")), (502, get("/sync")), (200, get("/right"))], wild=False)
def handler_of_bad_responses(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(ResponseValidationError)
    async def bad(request: Request, error: ResponseValidationError):
        return JSONResponse({"errors": [[*e["loc"], e["type"]] for e in error.errors()], "body": str(error.body)}, 502)

    app.get("/", response_model=int)(lambda: "x")
    app.get("/right", response_model=int)(lambda: 5)

    @app.get("/sync")
    async def read() -> list[int]:
        return [1, "x"]  # type: ignore[list-item]

    return app


@case([(500, get("/a")), (500, get("/b")), (418, get("/c"))], wild=False)
def handlers_that_raise(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(Own)
    async def again(request: Request, error: Own):
        trace("own", error.args)
        raise LookupError("from the handler")

    @app.exception_handler(KeyError)
    def other(request: Request, error: KeyError):
        trace("key")
        raise HTTPException(418)

    @app.exception_handler(ValueError)
    def same(request: Request, error: ValueError):
        trace("value")
        raise error

    raising(app, "/a", lambda: Own(1))
    raising(app, "/b", ValueError)
    raising(app, "/c", KeyError)
    return app


@case([(500, get("/none")), (418, get("/tasks")), (200, get("/stream")), (204, get("/empty"))], wild=False)
def what_handlers_give(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(Own)
    async def handle(request: Request, error: Own):
        kind = error.args[0]
        if kind == "tasks":
            tasks = BackgroundTasks()
            tasks.add_task(trace, "task")
            return JSONResponse("t", 418, background=tasks)
        if kind == "stream":
            return StreamingResponse(iter(["a", "b"]))
        return Response(status_code=204)

    @app.exception_handler(Narrow)
    async def dictionary(request: Request, error: Narrow):
        return {"not": "a response"}

    for kind in ("tasks", "stream", "empty"):
        raising(app, f"/{kind}", lambda kind=kind: Own(kind))
    raising(app, "/none", Narrow)
    return app


@case(
    [
        (401, get("/a")),
        (401, get("/a/sync")),
        (429, get("/b", {"Origin": "https://a.test"})),
        (409, head("/c")),
        (403, get("/d")),
    ],
    wild=False,
)
def http_exceptions_with_headers(trace: Trace) -> FastAPI:
    app = FastAPI()
    raising(
        app, "/a", lambda: HTTPException(401, "a", headers={"WWW-Authenticate": 'Bearer realm="r"', "X-B": "\u00e9"})
    )
    raising(app, "/b", lambda: HTTPException(429, {"retry": 5}, {"Retry-After": "5", "content-type": "text/odd"}))
    raising(app, "/d", lambda: StarletteHTTPException(403, headers={"X-D": "d"}))

    @app.head("/c")
    async def conflict():
        raise HTTPException(409, headers={"X-C": "c"})

    return app


@case([(500, get("/group")), (500, get("/group/sync")), (500, get("/nested")), (500, get("/tasks"))], wild=False)
def groups_of_exceptions(trace: Trace) -> FastAPI:
    """A group is no HTTPException, whatever is in it."""
    app = FastAPI()
    raising(app, "/group", lambda: ExceptionGroup("g", [Own("a"), HTTPException(404)]))
    raising(app, "/nested", lambda: ExceptionGroup("g", [ExceptionGroup("h", [ValueError()])]))

    @app.get("/tasks")
    async def tasks():
        async def fail():
            raise HTTPException(418)

        async with anyio.create_task_group() as group:
            group.start_soon(fail)

    return app


@case([(207, get("/group")), (207, get("/group/sync")), (500, get("/base"))], wild=False)
def handler_of_groups(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(ExceptionGroup)
    async def group(request: Request, error: ExceptionGroup):
        return JSONResponse([type(each).__name__ for each in error.exceptions], 207)

    raising(app, "/group", lambda: ExceptionGroup("g", [Own(), KeyError()]))
    raising(app, "/base", lambda: Own())
    return app
