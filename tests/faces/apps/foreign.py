"""ASGI applications that are not FastAPI's."""

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from ..case import case
from ..request import get, head, post
from ..trace import Trace

KINDS = [
    "whole",
    "parts",
    "no-length",
    "empty",
    "early",
    "late-error",
    "none",
    "twice",
    "headers",
    "status",
    "never-ends",
]


@case(
    [({200, 299, 500}, get(f"/{kind}")) for kind in KINDS]
    + [
        (200, post("/read", body=b"x" * 70_000)),
        (200, post("/read", body=b"abc", chunks=[1, 1])),
        (200, head("/no-length")),
    ]
    + [(200, get("/disconnect"))],
    fallback=["*"],
    wild=False,
)
def raw_asgi(trace: Trace) -> Any:
    """An application of three arguments, which does what ASGI allows, and some of what it does not."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("no lifespan here")
        kind = scope["path"][1:]
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
        trace("called", kind)
        if kind == "none":
            return
        if kind == "early":
            raise RuntimeError("before the answer")
        if kind == "headers":
            start["headers"] = [(b"X-Upper", b"1"), (b"x-upper", b"2"), (b"content-length", b"2"), (b"x-last", b"")]
        if kind == "status":
            start["status"] = 299
        if kind == "read":
            await read(receive, start)
        if kind == "whole":
            start["headers"].append((b"content-length", b"2"))
        await send(start)
        if kind == "late-error":
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            raise RuntimeError("after the start")
        if kind == "never-ends":
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            return
        if kind == "parts":
            for part in (b"a", b"", b"b"):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body"})
            return
        await send({"type": "http.response.body", "body": b"" if kind == "empty" else b"ok"})
        if kind == "twice":
            try:
                await send({"type": "http.response.body", "body": b"more"})
            except Exception as error:
                trace("twice", isinstance(error, RuntimeError | OSError))
        if kind == "disconnect":
            await receive()
            trace("then", (await receive())["type"])

    async def read(receive: Any, start: Any) -> None:
        total, more = 0, True
        while more:
            message = await receive()
            total += len(message.get("body", b""))
            more = message.get("more_body", False)
        start["headers"].append((b"x-total", b"%d" % total))

    return app


@case(
    [
        (200, get("/")),
        (200, head("/")),
        (200, get("/json/5")),
        (404, get("/none")),
        (405, post("/")),
        (200, get("/stream")),
        (307, get("/stream/")),
        (500, get("/fails")),
        (200, get("/sync")),
    ],
    fallback=["*"],
    wild=False,
)
def starlette(trace: Trace) -> Starlette:
    async def home(request: Request):
        trace("home")
        return PlainTextResponse("home")

    def sync(request: Request):
        return PlainTextResponse("sync")

    async def json(request: Request):
        return JSONResponse(request.path_params)

    async def stream(request: Request):
        return StreamingResponse(iter([b"a", b"b"]))

    async def fails(request: Request):
        raise RuntimeError

    return Starlette(
        routes=[
            Route("/", home),
            Route("/sync", sync),
            Route("/json/{n:int}", json),
            Route("/stream", stream),
            Route("/fails", fails),
        ]
    )
