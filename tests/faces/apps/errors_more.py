"""Exceptions in unusual places, of unusual kinds, with unusual handlers."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from ..case import case
from ..request import get, post
from ..trace import Trace, where


class Payment(HTTPException):
    def __init__(self, amount: int) -> None:
        super().__init__(402, {"amount": amount}, {"X-Amount": str(amount)})


class Item(BaseModel):
    n: int


@case(
    [
        (402, get("/subclass")),
        (422, get("/manual")),
        (500, get("/pydantic")),
        (500, get("/cancelled")),
        (500, get("/stop")),
        (500, get("/stop-sync")),
        (500, get("/stop-async")),
        (500, get("/notes")),
        (500, get("/chained")),
        (418, get("/nested")),
        (500, get("/await-none")),
        (200, get("/fine")),
    ]
)
def kinds_of_exceptions(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/subclass")
    async def subclass():
        raise Payment(5)

    @app.get("/manual")
    def manual():
        raise RequestValidationError([{"type": "mine", "loc": ("here", 1), "msg": "no", "input": {"a": 1}}])

    @app.get("/pydantic")
    async def pydantic():
        Item(n="x")

    @app.get("/cancelled")
    async def cancelled():
        raise asyncio.CancelledError

    @app.get("/stop")
    async def stop():
        raise StopIteration(1)

    @app.get("/stop-sync")
    def stop_sync():
        raise StopIteration(2)

    @app.get("/stop-async")
    async def stop_async():
        raise StopAsyncIteration

    @app.get("/notes")
    async def notes():
        error = OSError(2, "not here")
        error.add_note("a note")
        raise error

    @app.get("/chained")
    def chained():
        try:
            raise KeyError("first")
        except KeyError as error:
            raise RuntimeError("second") from error

    @app.get("/nested")
    async def nested():
        try:
            raise HTTPException(404)
        except HTTPException as error:
            raise HTTPException(418, error.detail) from None

    @app.get("/await-none")
    async def await_none():
        await None  # type: ignore[misc]

    @app.get("/fine")
    async def fine():
        return "fine"

    return app


@case(
    [
        (404, get("/nowhere")),
        (405, post("/fastapi")),
        (404, get("/starlette")),
        (470, get("/fastapi")),
        (470, get("/subclass")),
        (471, get("/422?n=x")),
        (200, get("/422?n=1")),
    ]
)
def handler_of_fastapis_own_exception(trace: Trace) -> FastAPI:
    """It does not see Starlette's, which the router raises."""

    async def own(request: Request, error: HTTPException):
        trace("own", type(error).__name__)
        return PlainTextResponse(str(error.detail), status_code=470)

    def invalid(request: Request, error: RequestValidationError):
        trace("invalid", where())
        return JSONResponse({"count": len(error.errors())}, status_code=471)

    app = FastAPI(exception_handlers={HTTPException: own, RequestValidationError: invalid})

    @app.get("/fastapi")
    async def fastapi():
        raise HTTPException(400, "fastapi")

    @app.get("/starlette")
    async def starlette():
        raise StarletteHTTPException(404, "starlette")

    @app.get("/subclass")
    def subclass():
        raise Payment(1)

    @app.get("/422")
    async def valid(n: int):
        return n

    return app


@case(
    [
        (401, get("/first")),
        (401, get("/sync")),
        (500, get("/broken")),
        (401, get("/last?n=1")),
        (401, get("/last?n=x")),
        (403, get("/class")),
        (299, get("/caught")),
    ]
)
def exceptions_in_dependencies(trace: Trace) -> FastAPI:
    """What comes after the one that raises does not run, and headers set before are lost."""
    app = FastAPI()

    async def note(response: Response):
        response.headers["X-Noted"] = "1"
        response.status_code = 299
        trace("note")

    async def deny():
        trace("deny")
        raise HTTPException(401, headers={"WWW-Authenticate": "None"})

    def deny_sync():
        trace("deny_sync")
        raise HTTPException(401)

    def broken():
        raise RuntimeError("broken")

    class Guard:
        def __init__(self) -> None:
            raise HTTPException(403, "guarded")

    @app.get("/first", dependencies=[Depends(note), Depends(deny), Depends(note)])
    async def first():
        trace("never")

    @app.get("/sync", dependencies=[Depends(note), Depends(deny_sync)])
    def sync():
        trace("never")

    @app.get("/broken")
    async def fails(value: Annotated[None, Depends(broken)]):
        trace("never")

    @app.get("/last")
    async def last(n: int, value: Annotated[None, Depends(deny)]):
        trace("never")

    @app.get("/class")
    async def guarded(guard: Annotated[Guard, Depends()]):
        trace("never")

    @app.get("/caught", dependencies=[Depends(note)])
    async def caught():
        try:
            deny_sync()
        except HTTPException as error:
            return {"caught": error.status_code}

    return app


@case(
    [
        (200, get("/none")),
        (500, get("/nothing")),
        (500, get("/text")),
        (204, get("/empty")),
        (418, get("/twice")),
        (201, get("/stream")),
    ],
    fallback=["*"],
)
def handlers_that_answer_oddly(trace: Trace) -> FastAPI:
    from fastapi.responses import StreamingResponse

    app = FastAPI()

    class Odd(Exception):
        pass

    @app.exception_handler(Odd)
    async def odd(request: Request, error: Odd):
        kind = str(error)
        trace("odd", kind)
        answers: dict[str, Any] = {
            "nothing": None,
            "text": "text",
            "empty": Response(status_code=204),
            "twice": PlainTextResponse("twice", 418),
            "stream": StreamingResponse(iter([b"a", b"b"]), 201),
        }
        return answers.get(kind)

    @app.get("/none")
    async def fine():
        return None

    for name in ("nothing", "text", "empty", "twice", "stream"):

        def make(name: str):
            async def raises():
                raise Odd(name)

            return raises

        app.get(f"/{name}")(make(name))
    return app


@case([(420, get("/a/raise")), (420, get("/a/dep")), (404, get("/a/x")), (500, get("/b/raise"))])
def handlers_see_routed_requests(trace: Trace) -> FastAPI:
    """The request of a handler is the one that was routed."""
    app = FastAPI()
    router = APIRouter(prefix="/a")

    class Calm(Exception):
        pass

    @app.exception_handler(Calm)
    async def calm(request: Request, error: Calm):
        trace("calm", request.path_params, request.scope["route"].path, hasattr(request.state, "user"))
        return JSONResponse({"params": request.path_params, "body": (await request.body()).decode()}, status_code=420)

    def dependency(request: Request):
        request.state.user = "me"
        raise Calm

    @router.get("/{what}", dependencies=[])
    async def raises(what: str, request: Request):
        if what == "x":
            raise HTTPException(404)
        raise Calm

    @app.get("/a/dep", dependencies=[Depends(dependency)])
    async def dependent():
        return "never"

    @app.get("/b/raise")
    def fails():
        raise OSError

    app.include_router(router)
    return app
