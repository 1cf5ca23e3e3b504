"""HTTPException, validation errors, custom handlers, and what nobody handles."""

from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from ..case import case
from ..request import get, post
from ..trace import Trace, where

DETAILS: dict[str, Any] = {
    "text": "no",
    "dict": {"code": 7, "why": ["a", None]},
    "list": [1, "two"],
    "none": None,
    "empty": "",
    "number": 5,
    "unicode": "\u00e9\u65e5",
}
STATUSES = [400, 401, 404, 418, 500, 503, 599, 204, 304, 200]


@case(
    [(409, get(f"/detail/{name}")) for name in DETAILS]
    + [({code, 500}, get(f"/status/{code}")) for code in STATUSES]
    + [(code, get(f"/sync/{code}")) for code in STATUSES]
    + [(403, get("/headers")), (404, get("/starlette")), (402, get("/default"))]
)
def http_exceptions(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/detail/{name}")
    async def detail(name: str):
        raise HTTPException(409, DETAILS.get(name, name))

    @app.get("/status/{code}")
    async def status(code: int):
        raise HTTPException(code if 200 <= code <= 599 else 400)

    @app.get("/sync/{code}")
    def sync(code: int):
        trace("sync", code)
        raise HTTPException(code if 200 <= code <= 599 else 400, detail="with a detail")

    @app.get("/headers")
    async def headers():
        raise HTTPException(403, "no", headers={"X-Reason": "a", "x-reason": "b", "Content-Type": "text/odd"})

    @app.get("/starlette")
    async def starlette():
        raise StarletteHTTPException(404, detail="Starlette's own")

    @app.get("/default")
    def default():
        raise HTTPException(402)

    return app


class Item(BaseModel):
    name: str
    n: int


BAD = [
    post("/?q=x", json={"name": 1, "n": "y"}),
    post("/?q=1", {"Content-Type": "application/json"}, body=b"{oops"),
    post("/"),
    get("/other/x"),
]


@case([(418, asked) for asked in BAD] + [(200, post("/?q=1", json={"name": "a", "n": 1})), (404, get("/nowhere"))])
def validation_handler(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(RequestValidationError)
    async def handle(request: Request, error: RequestValidationError):
        trace("handle", where(), request.url.path)
        body = error.body if isinstance(error.body, str | dict | list | None) else repr(error.body)
        return JSONResponse({"errors": error.errors(), "body": body, "path": request.url.path}, 418, {"X-Invalid": "1"})

    @app.post("/")
    async def create(q: int, item: Item):
        return item

    @app.get("/other/{n}")
    def other(n: int):
        return n

    return app


@case([(422, asked) for asked in BAD] + [(404, get("/nowhere")), (405, get("/")), (409, get("/raise"))])
def handlers_that_extend(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(StarletteHTTPException)
    async def http(request: Request, error: StarletteHTTPException):
        trace("http", error.status_code)
        response = await http_exception_handler(request, error)
        response.headers["X-Handled"] = "http"
        return response

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError):
        trace("validation", len(error.errors()))
        return await request_validation_exception_handler(request, error)

    @app.post("/")
    async def create(q: int, item: Item):
        return item

    @app.get("/other/{n}")
    async def other(n: int):
        return n

    @app.get("/raise")
    def conflict():
        raise HTTPException(409, {"a": 1}, {"X-Own": "1"})

    return app


class Base(Exception):
    pass


class Derived(Base):
    pass


class Unrelated(Exception):
    pass


@case(
    [
        (status, get(f"/{kind}/{name}"))
        for kind in ("async", "sync")
        for name, status in (
            ("base", 410),
            ("derived", 410),
            ("lookup", 411),
            ("key", 411),
            ("http", 404),
            ("unrelated", 500),
            ("value", 412),
        )
    ]
    + [(404, get("/nowhere")), (405, post("/async/base")), (403, get("/403"))]
)
def handlers_by_class_and_status(trace: Trace) -> FastAPI:
    app = FastAPI()
    errors = {
        "base": Base("b"),
        "derived": Derived("d"),
        "lookup": LookupError("l"),
        "key": KeyError("k"),
        "http": HTTPException(404, "h"),
        "unrelated": Unrelated("u"),
        "value": ValueError("v"),
    }

    @app.exception_handler(Base)
    async def base(request: Request, error: Base):
        trace("base", type(error).__name__, where())
        return JSONResponse({"error": str(error)}, status_code=410)

    @app.exception_handler(LookupError)
    def lookup(request: Request, error: LookupError):
        trace("lookup", type(error).__name__, where())
        return PlainTextResponse(repr(error), status_code=411)

    @app.exception_handler(404)
    async def missing(request: Request, error: Exception):
        trace("missing")
        return JSONResponse({"nothing at": request.url.path}, status_code=404)

    @app.exception_handler(405)
    def not_allowed(request: Request, error: StarletteHTTPException):
        return PlainTextResponse(str(error.headers is not None), status_code=405, headers=error.headers)

    app.add_exception_handler(ValueError, lambda request, error: PlainTextResponse("a lambda", 412))

    @app.get("/403")
    async def forbidden():
        raise HTTPException(403)

    @app.get("/async/{name}")
    async def raises(name: str):
        raise errors.get(name, Unrelated())

    @app.get("/sync/{name}")
    def raises_sync(name: str):
        raise errors.get(name, Unrelated())

    return app


@case(
    [
        (500, get("/async")),
        (500, get("/sync")),
        (200, get("/fine")),
        (500, get("/group")),
        (500, get("/assert")),
        (500, get("/response")),
        (500, get("/handler")),
        (200, get("/fine")),
    ]
)
def unhandled_errors(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(Base)
    async def broken(request: Request, error: Base):
        raise RuntimeError("the handler is broken too")

    @app.get("/async")
    async def raises():
        trace("async")
        raise RuntimeError("oops")

    @app.get("/sync")
    def raises_sync():
        trace("sync")
        return 1 / 0

    @app.get("/group")
    async def group():
        raise ExceptionGroup("two", [ValueError("a"), HTTPException(404)])

    @app.get("/assert")
    async def fails():
        raise AssertionError

    @app.get("/response")
    async def unserialisable():
        return {"a": object()}

    @app.get("/handler")
    async def handler():
        raise Base

    @app.get("/fine")
    async def fine():
        return "fine"

    return app


@case(
    [(500, get("/async")), (500, get("/sync")), (500, get("/response")), (404, get("/http")), (422, get("/async?n=x"))]
)
def handler_of_everything(trace: Trace) -> FastAPI:
    """A handler for Exception answers, and the exception still goes on to the server."""
    app = FastAPI()

    @app.exception_handler(Exception)
    async def everything(request: Request, error: Exception):
        trace("everything", type(error).__name__, where())
        return JSONResponse({"error": type(error).__name__}, status_code=500, headers={"X-Handled": "1"})

    @app.get("/async")
    async def raises(n: int = 1):
        raise RuntimeError("oops")

    @app.get("/sync")
    def raises_sync():
        raise KeyError("oops")

    @app.get("/response")
    async def wrong() -> int:
        return "x"  # type: ignore[return-value]

    @app.get("/http")
    async def http():
        raise HTTPException(404)

    return app


@case([(500, get("/async")), (500, get("/dep"))])
def handler_of_500(trace: Trace) -> FastAPI:
    from fastapi import Depends

    app = FastAPI(exception_handlers={500: lambda request, error: PlainTextResponse(f"sorry: {error!r}", 500)})

    def broken():
        raise RuntimeError("in a dependency")

    @app.get("/async")
    async def raises():
        raise RuntimeError("oops")

    @app.get("/dep", dependencies=[Depends(broken)])
    async def dependent():
        trace("never")

    return app


@case([(555, get("/wrong")), (200, get("/right"))])
def response_validation_handler(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(ResponseValidationError)
    async def handle(request: Request, error: ResponseValidationError):
        trace("handle", len(error.errors()))
        return JSONResponse({"errors": error.errors(), "body": error.body}, status_code=555)

    @app.get("/wrong")
    async def wrong() -> Item:
        return {"name": 1}  # type: ignore[return-value]

    @app.get("/right")
    def right() -> Item:
        return {"name": "a", "n": 1}  # type: ignore[return-value]

    return app


@case(
    [(500, get("/debug")), (500, get("/debug", {"Accept": "text/html"})), (200, get("/fine"))],
    wild=False,
    mask=[rb"(?s)File .*", rb"(?s)<html>.*", rb"\A\d+\Z"],
    fallback=["*"],
)
def debug_mode(trace: Trace) -> FastAPI:
    """The page shows the stack, which is the server's, too: only that it is shown is compared."""
    app = FastAPI(debug=True)

    @app.get("/debug")
    async def raises():
        raise RuntimeError("oops")

    @app.get("/fine")
    async def fine():
        return 1

    return app
