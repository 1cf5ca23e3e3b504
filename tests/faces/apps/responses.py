"""Returned Response objects of every class, default response classes, headers and cookies."""

import warnings
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
)

from ..case import case
from ..request import get
from ..trace import Trace

CLASSES = [
    "response",
    "bytes",
    "text",
    "html",
    "json",
    "none",
    "redirect",
    "redirect-303",
    "redirect-odd",
    "empty",
    "memory",
]


@case([({200, 303, 307}, get(f"/{kind}/{name}")) for kind in ("async", "sync") for name in CLASSES])
def returned_responses(trace: Trace) -> FastAPI:
    app = FastAPI()

    def make(name: str) -> Response:
        return {
            "response": lambda: Response("text", media_type="text/csv"),
            "bytes": lambda: Response(b"\x00\xff\r\n", headers={"X-Kind": "bytes"}),
            "text": lambda: PlainTextResponse("caf\u00e9", status_code=200),
            "html": lambda: HTMLResponse("<p>\u65e5</p>"),
            "json": lambda: JSONResponse({"a": [1, None, "\u00e9"], "b": 1.5}),
            "none": lambda: JSONResponse(None),
            "redirect": lambda: RedirectResponse("/else where?x=\u00e9"),
            "redirect-303": lambda: RedirectResponse("https://example.test/a%20b", status_code=303),
            "redirect-odd": lambda: RedirectResponse('/a\\b|c"d'),
            "empty": lambda: Response(),
            "memory": lambda: Response(memoryview(b"view"), media_type="application/octet-stream"),
        }[name]()

    @app.get("/async/{name}", response_model=None)
    async def respond(name: str) -> Response:
        return make(name)

    @app.get("/sync/{name}", response_model=None)
    def respond_sync(name: str) -> Response:
        return make(name)

    return app


@case(
    [
        (200, get("/html")),
        (200, get("/text")),
        (307, get("/redirect")),
        (303, get("/see")),
        (200, get("/custom")),
        (200, get("/json")),
        (200, get("/overridden")),
        (500, get("/text/wrong")),
        (204, get("/html/none")),
    ]
)
def response_classes(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Custom(Response):
        media_type = "application/x-custom"

        def render(self, content: Any) -> bytes:
            trace("render")
            return repr(content).encode()

    class Loud(JSONResponse):
        media_type = "application/vnd.loud+json"

        def render(self, content: Any) -> bytes:
            return super().render(content).upper()

    @app.get("/html", response_class=HTMLResponse)
    async def html():
        return "<b>bold</b>"

    @app.get("/html/none", response_class=HTMLResponse, status_code=204)
    async def nothing():
        return "dropped"

    @app.get("/text", response_class=PlainTextResponse)
    def text(response: Response):
        response.headers["X-More"] = "1"
        return "plain"

    @app.get("/text/wrong", response_class=PlainTextResponse)
    def wrong():
        return {"a": 1}

    @app.get("/redirect", response_class=RedirectResponse)
    async def redirect():
        return "/elsewhere"

    @app.get("/see", response_class=RedirectResponse, status_code=303)
    async def see():
        return "/elsewhere"

    @app.get("/custom", response_class=Custom)
    async def custom() -> dict[str, int]:
        return {"a": 1}

    @app.get("/json", response_class=Loud)
    async def loud() -> dict[str, str]:
        return {"a": "text"}

    @app.get("/overridden", response_class=HTMLResponse)
    async def overridden():
        return JSONResponse([1])

    return app


@case([(200, get("/")), (200, get("/own")), (404, get("/missing")), (422, get("/own?n=x"))])
def default_response_class(trace: Trace) -> FastAPI:
    class Indented(JSONResponse):
        def render(self, content: Any) -> bytes:
            import json

            return json.dumps(content, indent=1).encode()

    app = FastAPI(default_response_class=Indented)

    @app.get("/")
    async def read() -> dict[str, list[int]]:
        return {"a": [1, 2]}

    @app.get("/own", response_class=JSONResponse)
    def own(n: int = 1):
        return {"n": n}

    return app


@case([(200, get("/orjson")), (200, get("/ujson")), (200, get("/nan"))], wild=False)
def deprecated_response_classes(trace: Trace) -> FastAPI:
    """They may be missing or warn; what they answer is theirs."""
    app = FastAPI()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import orjson  # noqa: F401
            from fastapi.responses import ORJSONResponse as Quick
        except ImportError:
            Quick = JSONResponse

    @app.get("/orjson", response_class=Quick)
    async def quick():
        return {"a": 1}

    @app.get("/ujson", response_class=Quick)
    def quick_sync():
        return [1.5, None]

    @app.get("/nan")
    async def nan():
        return {"a": 0.0}

    return app


@case(
    [
        (200, get("/response")),
        (200, get("/parameter")),
        (200, get("/many")),
        (200, get("/cookies")),
        (200, get("/returned")),
        (200, get("/text")),
        (200, get("/latin")),
    ]
)
def response_headers(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/response")
    async def response():
        return JSONResponse(
            {"a": 1}, headers={"X-One": "1", "Content-Type": "application/x-own", "x-two": "two  spaces"}
        )

    @app.get("/parameter")
    def parameter(response: Response):
        response.headers["X-Set"] = "1"
        response.headers["x-set"] = "2"
        response.headers.append("X-Set", "3")
        response.headers["Cache-Control"] = "no-store"
        return {"a": 1}

    @app.get("/many")
    async def many(response: Response):
        for number in range(100):
            response.headers.append("X-Number", str(number))
        response.headers["X-Long"] = "y" * 10_000
        return

    @app.get("/cookies")
    async def cookies(response: Response):
        response.set_cookie("a", "1", max_age=60, httponly=True, samesite="strict")
        response.set_cookie("b", "x y;\u00e9", secure=True, path="/p", domain="faces.test")
        response.delete_cookie("c")
        return {}

    @app.get("/returned")
    async def returned(response: Response):
        response.headers["X-Lost"] = "the handler returns another response"
        answer = PlainTextResponse("kept")
        answer.set_cookie("kept", "yes")
        return answer

    @app.get("/text")
    async def media(response: Response):
        response.headers["Content-Type"] = "application/second"
        return "text"

    @app.get("/latin")
    async def latin(response: Response):
        response.headers["X-Latin"] = "caf\u00e9"
        response.headers["X-Empty"] = ""
        return "text"

    return app
