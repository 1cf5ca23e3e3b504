"""Returned Response objects of every class, default response classes, headers and cookies."""

import os
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)

from ..case import case
from ..request import get, head, post
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


@case(
    [(200, get(path)) for path in ("/async", "/sync", "/endless", "/empty", "/text", "/one")]
    + [(200, head("/async")), (200, get("/big")), (404, get("/nowhere")), (200, get("/async"))]
    + [(200, get("/breaks")), (500, get("/fails")), (200, get("/length")), (200, get("/after"))],
    fallback=["*"],
)
def streaming(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.api_route("/async", methods=["GET", "HEAD"])
    async def stream():
        async def body() -> AsyncIterator[bytes]:
            for number in range(5):
                trace("chunk", number)
                yield b"chunk %d\n" % number

        return StreamingResponse(body(), media_type="text/plain")

    @app.get("/sync")
    def stream_sync():
        def body() -> Iterator[str]:
            for number in range(3):
                yield f"\u00e9{number}"

        return StreamingResponse(body(), headers={"X-Stream": "1"})

    @app.get("/endless")
    async def empties():
        return StreamingResponse(iter([b"a", b"", b"b", b""]), status_code=200)

    @app.get("/empty")
    async def empty():
        return StreamingResponse(iter(()))

    @app.get("/text")
    async def text():
        return StreamingResponse(iter(["only ", "text"]), media_type="text/html")

    @app.get("/one")
    async def one():
        return StreamingResponse(iter([b"one"]), headers={"ETag": '"1"'})

    @app.get("/big")
    async def big():
        return StreamingResponse((bytes([n]) * 50_000 for n in range(60)), media_type="application/octet-stream")

    @app.get("/breaks")
    async def breaks():
        async def body() -> AsyncIterator[bytes]:
            yield b"begun"
            trace("breaks")
            raise RuntimeError("in the middle")

        return StreamingResponse(body())

    @app.get("/fails")
    async def fails():
        raise RuntimeError("before the first byte")

    @app.get("/length")
    async def length():
        return StreamingResponse(iter([b"12", b"34"]), headers={"Content-Length": "4"})

    @app.get("/after")
    async def after():
        from starlette.background import BackgroundTask

        return StreamingResponse(iter([b"x"]), background=BackgroundTask(trace, "background"))

    return app


@case(
    [
        (200, get("/file")),
        ({200, 206}, get("/file", {"Range": "bytes=2-5"})),
        ({200, 416}, get("/file", {"Range": "bytes=900-"})),
        ({200, 206}, get("/file", {"Range": "bytes=0-1,4-5"})),
        (200, get("/named")),
        (200, head("/file")),
        (500, get("/missing")),
        (200, get("/big")),
        (200, get("/empty")),
    ],
    fallback=["*"],
    mask=[rb"boundary=[0-9a-f]+", rb"--[0-9a-f]{20,}"],
    wild=False,
)
def files(trace: Trace) -> FastAPI:
    place = Path()

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        nonlocal place
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "text.txt").write_text("0123456789")
            (place / "big.bin").write_bytes(bytes(range(256)) * 2000)
            (place / "empty").write_bytes(b"")
            for file in place.iterdir():
                os.utime(file, (1_700_000_000, 1_700_000_000))
            yield

    app = FastAPI(lifespan=lifespan)

    @app.api_route("/file", methods=["GET", "HEAD"])
    async def file():
        return FileResponse(place / "text.txt")

    @app.get("/named")
    def named():
        return FileResponse(place / "text.txt", filename="caf\u00e9.txt", headers={"X-File": "1"})

    @app.get("/missing")
    async def missing():
        return FileResponse(place / "none.txt")

    @app.get("/big", response_class=FileResponse)
    async def big():
        return place / "big.bin"

    @app.get("/empty")
    async def empty():
        return FileResponse(place / "empty", media_type="application/x-empty")

    return app


@case(
    [
        (200, get("/items")),
        (200, get("/plain")),
        (200, post("/echo", {"Content-Type": "application/json"}, body=b"[1,2]")),
    ],
    since=("0.134.0", "JSON lines from a generator"),
    fallback=["GET /items", "GET /plain"],
)
def json_lines(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/items")
    async def items() -> AsyncIterator[dict[str, int]]:
        for number in range(3):
            trace("item", number)
            yield {"n": number}

    @app.get("/plain")
    def plain() -> Iterator[int]:
        yield from range(3)

    @app.post("/echo")
    async def echo(n: list[int]):
        return n

    return app
