"""Errors that come late, or from where nobody looks: one per application."""

from typing import Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import FastAPIError, RequestValidationError, WebSocketException
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ValidationError, field_validator
from starlette.requests import ClientDisconnect

from ..case import case
from ..request import get, options, post
from ..trace import Trace
from .errors_one_by_one import Own, raising


@case([(200, get("/late")), (200, get("/late/handled")), (200, get("/sync")), (200, get("/fine"))], wild=False)
def errors_after_the_response_has_started(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(Own)
    async def handle(request: Request, error: Own):
        trace("never")
        return PlainTextResponse("too late")

    async def parts(error: Exception):
        yield b"first"
        trace("about to fail")
        raise error

    def sync_parts():
        yield "one"
        raise LookupError("in the iterator")

    @app.get("/late")
    async def late():
        return StreamingResponse(parts(LookupError("late")))

    @app.get("/late/handled")
    async def late_handled():
        return StreamingResponse(parts(Own()))

    @app.get("/sync")
    def sync():
        return StreamingResponse(sync_parts())

    app.get("/fine")(lambda: "fine")
    return app


@case([(200, get("/task")), (200, get("/http")), (200, get("/fine"))], wild=False)
def errors_in_background_tasks(trace: Trace) -> FastAPI:
    app = FastAPI()

    def fail(error: Exception) -> None:
        trace("task", type(error).__name__)
        raise error

    @app.get("/task")
    async def task(tasks: BackgroundTasks):
        tasks.add_task(fail, LookupError())
        tasks.add_task(trace, "never")
        return "task"

    @app.get("/http")
    def http(tasks: BackgroundTasks):
        tasks.add_task(fail, HTTPException(404))
        return "http"

    app.get("/fine")(lambda: "fine")
    return app


@case([(500, get("/plain")), (500, get("/html", {"Accept": "text/html"})), (418, get("/teapot"))], wild=False,
      mask=[rb"(?s)Traceback.*", rb"(?s)<html>.*", rb"\A\d+\Z"], fallback=["*"])  # fmt: skip
def debug_page(trace: Trace) -> FastAPI:
    app = FastAPI(debug=True)
    raising(app, "/plain", Own)
    raising(app, "/html", Own)
    raising(app, "/teapot", lambda: HTTPException(418))
    return app


@case([(500, get("/fastapi")), (500, get("/websocket")), (500, get("/gone")), (500, get("/pydantic"))], wild=False)
def errors_of_the_framework(trace: Trace) -> FastAPI:
    """None of these has a meaning of its own when a handler raises it."""
    app = FastAPI()

    class Model(BaseModel):
        n: int

    def validation() -> Exception:
        try:
            Model(n="x")  # type: ignore[arg-type]
        except ValidationError as error:
            return error
        raise AssertionError

    raising(app, "/fastapi", lambda: FastAPIError("f"))
    raising(app, "/websocket", lambda: WebSocketException(1008))
    raising(app, "/gone", ClientDisconnect)
    raising(app, "/pydantic", validation)
    return app


@case([(422, get("/raised")), (422, get("/raised/sync")), (422, get("/empty"))], wild=False)
def validation_errors_raised_by_hand(trace: Trace) -> FastAPI:
    app = FastAPI()
    raising(
        app, "/raised", lambda: RequestValidationError([{"loc": ["a", 1], "msg": "m", "type": "t", "ctx": {"x": 1}}])
    )
    raising(app, "/empty", lambda: RequestValidationError([], body={"b": 1}))
    return app


@case(
    [
        (422, post("/", json={"n": 0})),
        (422, post("/", json={"n": "x"})),
        (200, post("/", json={"n": 2})),
        (422, post("/")),
    ],
    wild=False,
)
def validators_with_errors_of_their_own(trace: Trace) -> FastAPI:
    class Item(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def positive(cls, n: int) -> int:
            trace("validated", n)
            if n < 1:
                raise ValueError("too small")
            return n

    app = FastAPI()

    @app.post("/")
    async def create(item: Item):
        return item

    return app


@case([(404, get("/sub/none")), (418, get("/dep")), (418, get("/dep/sync")), (418, get("/sub"))], wild=False)
def errors_in_dependencies_of_routers(trace: Trace) -> FastAPI:
    def refuse(request: Request) -> None:
        trace("refuse", request.url.path)
        raise HTTPException(418, request.url.path)

    async def note() -> None:
        trace("note")

    app = FastAPI(dependencies=[Depends(note)])
    raising(app, "/never", Own)
    router = APIRouter(dependencies=[Depends(refuse)])
    raising(router, "/dep", Own)
    app.include_router(router)
    app.get("/sub", dependencies=[Depends(refuse)])(lambda: "never")
    return app


@case([(500, get("/a", {"Origin": "https://a.test"})), (404, get("/none")), (200, options("/a"))], wild=False)
def errors_without_a_body(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(404)
    async def none(request: Request, error: Any):
        return Response(status_code=404)

    raising(app, "/a", lambda: Own())

    @app.options("/a")
    async def allowed(response: Response):
        response.headers["Allow"] = "GET"

    return app


@case([(500, get("/x")), (500, get("/x/sync")), (500, get("/y"))], wild=False)
def exceptions_with_odd_texts(trace: Trace) -> FastAPI:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    app = FastAPI()
    raising(app, "/x", Odd)
    raising(app, "/y", lambda: Exception("\udcff", "\0"))
    return app


@case([(403, get("/1")), (403, get("/2")), (403, get("/1"))], wild=False)
def one_exception_raised_again_and_again(trace: Trace) -> FastAPI:
    app = FastAPI()
    shared = HTTPException(403, "shared", headers={"X-Shared": "1"})

    @app.get("/{n}")
    async def raises(n: int):
        raise shared

    return app
