"""Exceptions of compiled routes: which handler answers, on which lane, and what is logged."""

import logging
import threading
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import AfterValidator, BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from tests.faces.trace import Trace
from tests.plan.pair import Pair

Both = Callable[[Any], Pair]


class Broken(Exception):
    pass


class Worse(Broken):
    pass


class Item(BaseModel):
    name: str


def raising(raised: Callable[[], BaseException]) -> FastAPI:
    app = FastAPI()

    @app.get("/sync")
    def on_thread():
        raise raised()

    @app.get("/async")
    async def on_loop():
        raise raised()

    def dependency() -> None:
        raise raised()

    @app.get("/dependency", dependencies=[Depends(dependency)])
    async def never():
        return "never"

    return app


def ask(pair: Pair) -> list[int]:
    found = []
    for path in ("/sync", "/async", "/dependency"):
        found.append(pair.get(path).status)
        assert pair.how == "compiled"
    return found


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda: HTTPException(404, "nothing here"), 404),
        (lambda: HTTPException(401, {"why": [1, 2]}, {"WWW-Authenticate": "Bearer", "X-A": "1"}), 401),
        (lambda: HTTPException(204), 204),
        (lambda: HTTPException(304, headers={"ETag": "x"}), 304),
        (lambda: StarletteHTTPException(418), 418),
        (lambda: HTTPException(400, object()), 500),
        (lambda: RequestValidationError([{"loc": ("x",), "msg": "m", "type": "t"}]), 422),
        (lambda: RequestValidationError([{"loc": object()}]), 500),
        (lambda: Broken("x"), 500),
    ],
    ids=range(9),
)
def test_default_handlers(both: Both, make: Callable[[], BaseException], status: int) -> None:
    assert set(ask(both(raising(make)))) == {status}


def test_a_reused_exception_keeps_no_traceback(both: Both) -> None:
    known = HTTPException(404)
    pair = both(raising(lambda: known))
    ask(pair)
    assert known.__traceback__ is None


def test_handlers_are_found_by_status_and_class(both: Both, trace: Trace) -> None:
    app = raising(lambda: Worse("w"))

    @app.exception_handler(Broken)
    async def broken(request: Request, exc: Broken):
        trace("broken", request.url.path, type(exc).__name__, request.scope["path_params"])
        return PlainTextResponse("broken", 418)

    @app.exception_handler(404)
    def missing(request: Request, exc: Exception):
        trace("missing", threading.current_thread() is threading.main_thread())
        return JSONResponse({"missing": request.url.path}, 404)

    @app.get("/items/{n}")
    async def item(n: int):
        raise HTTPException(404)

    pair = both(app)
    assert ask(pair) == [418] * 3
    assert pair.get("/items/5").json() == {"missing": "/items/5"}
    assert pair.get("/nowhere").json() == {"missing": "/nowhere"}
    assert pair.how == "fallback"


def test_a_handler_gets_the_request_of_its_dependencies(both: Both, trace: Trace) -> None:
    app = FastAPI()

    def user(request: Request) -> None:
        request.state.user = "me"

    @app.exception_handler(Broken)
    async def broken(request: Request, exc: Broken):
        name = request.scope["route"].name
        return JSONResponse([getattr(request.state, "user", None), request.path_params, name, str(request.method)], 400)

    @app.get("/with/{n}", dependencies=[Depends(user)])
    async def with_request(n: int):
        raise Broken

    @app.post("/without/{n:int}")
    def without(n: int, item: Item):
        raise Broken

    @app.exception_handler(LookupError)
    async def lookup(request: Request, exc: LookupError):
        return JSONResponse([await request.json(), (await request.body()).decode()], 400)

    @app.post("/body")
    async def body(item: Item):
        raise LookupError

    pair = both(app)
    assert pair.get("/with/1").json() == ["me", {"n": "1"}, "with_request", "GET"]
    assert pair.how == "compiled"
    assert pair.request("POST", "/without/2", json={"name": "x"}).json() == [None, {"n": 2}, "without", "POST"]
    assert pair.post("/body", json={"name": "x"}).json()[0] == {"name": "x"}
    assert pair.how == "compiled"


def test_a_handler_that_raises_gets_a_second_chance(both: Both) -> None:
    app = raising(lambda: Broken("first"))

    @app.exception_handler(Broken)
    async def broken(request: Request, exc: Broken):
        raise LookupError("second")

    @app.exception_handler(LookupError)
    def lookup(request: Request, exc: LookupError):
        return PlainTextResponse(str(exc), 400)

    assert ask(both(app)) == [400] * 3


def test_a_handler_of_last_resort(both: Both, trace: Trace) -> None:
    app = raising(lambda: Broken("x"))

    @app.exception_handler(Exception)
    async def last(request: Request, exc: Exception):
        trace("last", request.url.path, str(exc))
        return PlainTextResponse("sorry", 500, {"x-last": "1"})

    assert ask(both(app)) == [500] * 3


def test_validation_errors_reach_the_applications_handler(both: Both) -> None:
    app = FastAPI()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, exc: RequestValidationError):
        return JSONResponse({"count": len(exc.errors()), "body": exc.body}, 400)

    @app.post("/{n}")
    async def create(n: int, item: Item, q: int = 0):
        return n

    pair = both(app)
    assert pair.post("/x?q=y", json={"name": 1}).json() == {"count": 3, "body": {"name": 1}}
    assert pair.post("/1", json={"name": 1}).json() == {"count": 1, "body": {"name": 1}}


def test_what_nobody_handles_is_logged_once_with_its_traceback(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    pair = both(raising(lambda: Broken("unhandled")))
    with caplog.at_level(logging.ERROR, "turboapi.error"):
        pair.get("/async")
    (record,) = caplog.records
    assert record.name == "turboapi.error"
    assert record.getMessage().startswith("Exception in ASGI application")
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], Broken)


def test_the_debug_page(both: Both) -> None:
    app = raising(lambda: Broken("x"))
    app.debug = True
    pair = both(app)
    # Frames of the server stand in it, so only the end of the text is the same.
    answer = pair.made.errors
    assert answer.quick(type("Proxy", (), {"request": None, "started": False})(), Broken("x")) is None


def test_handlers_added_later_are_seen_when_fastapi_sees_them(both: Both) -> None:
    app = raising(lambda: Broken("x"))
    pair = both(app)
    assert pair.get("/sync").status == 500

    @app.exception_handler(Broken)
    async def broken(request: Request, exc: Broken):
        return PlainTextResponse("now", 400)

    # Starlette has built its middleware already: only what is put there counts.
    assert pair.get("/sync").status == 500
    at = app.middleware_stack
    while not hasattr(at, "_exception_handlers"):
        at = at.app
    at._exception_handlers[Broken] = broken
    assert pair.get("/sync").status == 400
    assert pair.how == "compiled"


def test_the_texts_of_validation_errors_name_the_route_as_fastapi_does(both: Both) -> None:
    app = FastAPI()

    @app.exception_handler(RequestValidationError)
    @app.exception_handler(ResponseValidationError)
    async def shown(request: Request, exc: Exception):
        return PlainTextResponse(str(exc), 400)

    def check(value: int) -> int:
        assert value < 10
        return value

    @app.get("/items/{n:int}", response_model=Item)
    async def read(n: int, q: Annotated[int, AfterValidator(check)] = 1):
        return {"name": n}

    pair = both(app)
    pair.get("/items/5")
    assert pair.how == "compiled"
    pair.get("/items/5?q=50")
    assert pair.how == "compiled"
    pair.get("/items/5?q=x")
