"""Starlette's own middleware, each alone and with others, around answers of every kind."""

import json
import tempfile
import time
from base64 import b64encode
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from itsdangerous import TimestampSigner
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware

from ..case import case
from ..request import get, head, options, post, put
from ..trace import Trace

SECRET = "the secret of sessions"
ORIGIN = "https://page.test"

# What differs by nature: the time in gzip's header (older releases) and the time and signature of a session.
MASK = (rb"(?s)\A\x1f\x8b\x08\x00....", rb"\.[\w-]{6}\.[\w-]{27}")


def signed(session: Any, *, secret: str = SECRET, age: int = 0) -> str:
    """The cookie of a session that was made `age` seconds ago."""

    class Earlier(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(time.time()) - age

    return Earlier(secret).sign(b64encode(json.dumps(session).encode())).decode()


def cookie(value: str, name: str = "session") -> dict[str, str]:
    return {"Cookie": f"other=1; {name}={value}"}


class Odd(Exception):
    pass


class Slow(BaseHTTPMiddleware):
    """A dispatch middleware with a class."""

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        if "session" in request.scope and "note" in request.query_params:
            request.session["noted"] = request.query_params["note"]
        response = await call_next(request)
        response.headers["X-Slow"] = "yes"
        response.headers.append("Vary", "X-Slow")
        return response


class Plain:
    """One that is known as an ASGI application only."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def edited(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-plain", b"1")]
            await send(message)

        await self.app(scope, receive, edited if scope["type"] == "http" else send)


class OwnGZip(GZipMiddleware):
    """A subclass, so not what is known."""


def note(trace: Trace) -> Any:
    async def note(request: Request, call_next: Any) -> Any:
        trace("before", request.url.path, sorted(request.scope.get("session", {"no": "session"})))
        response = await call_next(request)
        response.headers["X-Note"] = str(response.status_code)
        trace("after", response.status_code)
        return response

    return note


FILE = tempfile.NamedTemporaryFile(suffix=".txt")  # noqa: SIM115  as long as the module
FILE.write(b"a line of a file\n" * 100)
FILE.flush()
SHARED = JSONResponse(["one object", "for all requests"])


def routes(app: FastAPI, trace: Trace) -> FastAPI:
    """A route for each kind of answer."""

    @app.get("/small")
    async def small(n: int = 1):
        trace("small")
        return {"n": n}

    @app.get("/sync")
    def sync():
        return {"text": "x" * 700}

    @app.get("/big")
    async def big(request: Request):
        return {"text": "\u00e4" * 3000, "scheme": request.url.scheme}

    @app.post("/echo")
    async def echo(given: list[int]):
        return given * 300

    @app.get("/stream")
    async def stream(parts: int = 3):
        async def chunks() -> Any:
            for number in range(parts):
                trace("chunk", number)
                yield f"{number}," * 300

        return StreamingResponse(chunks(), media_type="text/plain")

    @app.get("/file")
    async def file():
        return FileResponse(FILE.name, headers={"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT", "ETag": '"1"'})

    @app.get("/redirect")
    async def redirect():
        return RedirectResponse("/small")

    @app.get("/error")
    async def error():
        raise HTTPException(403, "x" * 600, {"X-Error": "1"})

    @app.get("/odd")
    async def odd():
        raise Odd

    @app.get("/fails")
    async def fails(request: Request):
        if "session" in request.scope:
            request.session["lost"] = True
        raise RuntimeError("fails")

    @app.get("/nothing", status_code=204)
    async def nothing() -> None:
        return None

    @app.api_route("/any", methods=["GET", "HEAD", "OPTIONS", "PUT"])
    async def anything():
        return PlainTextResponse("y" * 600)

    @app.get("/shared")
    async def shared():
        return SHARED

    @app.get("/headers")
    async def headers(response: Response, vary: str = "Accept"):
        response.headers["Vary"] = vary
        response.headers["Access-Control-Allow-Origin"] = "https://mine.test"
        response.headers.append("Set-Cookie", "a=b")
        return "z" * 600

    @app.get("/encoded")
    async def encoded():
        return Response(b"e" * 900, headers={"Content-Encoding": "br"}, media_type="text/event-stream")

    @app.get("/bare")
    async def bare(length: int = 0):
        response = Response("b" * 600, headers={"X-Late": "1"})
        del response.headers["Content-Length"]
        if length:
            response.headers["Content-Length"] = "600"
        else:
            response.raw_headers.clear()
        return response

    @app.get("/image")
    async def image():
        return Response(b"i" * 900, media_type="image/png")

    @app.get("/partial")
    async def partial():
        return Response(b"p" * 900, status_code=206)

    @app.get("/task")
    async def task():
        return PlainTextResponse("t" * 600, background=BackgroundTask(trace, "task"))

    @app.exception_handler(Odd)
    async def handle(request: Request, exc: Odd):
        return PlainTextResponse("o" * 600, 418)

    return app


def sessions(app: FastAPI, trace: Trace) -> FastAPI:
    """What can be done to a session."""

    @app.get("/session/read")
    async def read(request: Request):
        return dict(request.session)

    @app.get("/session/get")
    async def get_one(request: Request):
        return request.session.get("user")

    @app.get("/session/leave")
    async def leave():
        return 1

    @app.get("/session/set")
    async def set_one(request: Request, user: str = "\u00e4nna"):
        request.session["user"] = user
        request.session.setdefault("first", user)
        return sorted(request.session)

    @app.get("/session/sync")
    def set_sync(request: Request):
        request.session.update(n=request.session.get("n", 0) + 1)
        return request.session["n"]

    @app.get("/session/inside")
    async def inside(request: Request):
        request.session.setdefault("list", []).append(1)
        return 1

    @app.get("/session/clear")
    async def clear(request: Request):
        request.session.clear()
        return 1

    @app.get("/session/pop")
    async def pop(request: Request):
        return [request.session.pop("user", None), request.session.pop("nobody", None)]

    @app.get("/session/replace")
    async def replace(request: Request):
        request.scope["session"] = type(request.session)(a=1)
        return 1

    @app.get("/session/vary")
    async def vary(request: Request, response: Response, text: str = "Accept"):
        response.headers["Vary"] = text
        return request.session.get("user")

    @app.get("/session/stream")
    async def stream(request: Request):
        async def chunks() -> Any:
            request.session["late"] = 1
            yield "a"
            yield "b" * 600

        request.session["user"] = "streams"
        return StreamingResponse(chunks())

    @app.get("/session/unwritable")
    async def unwritable(request: Request):
        request.session["user"] = object()
        return 1

    @app.get("/session/error")
    async def error(request: Request):
        request.session["tried"] = True
        raise HTTPException(401)

    return app


def stacked(trace: Trace, *entries: Any, **settings: Any) -> FastAPI:
    """The routes under middlewares; the first is the innermost. Each is a class, (class, options) or a function."""
    app = FastAPI(**settings)
    for entry in entries:
        if isinstance(entry, tuple):
            app.add_middleware(entry[0], **entry[1])
        elif isinstance(entry, type):
            app.add_middleware(entry)
        else:
            app.middleware("http")(entry)
    routes(app, trace)
    return sessions(app, trace)


def gzip(**more: Any) -> Any:
    return GZipMiddleware, more


def cors(**more: Any) -> Any:
    return CORSMiddleware, {"allow_origins": [ORIGIN], **more}


def session(**more: Any) -> Any:
    return SessionMiddleware, {"secret_key": SECRET, **more}


def hosts(*names: str, **more: Any) -> Any:
    return TrustedHostMiddleware, {"allowed_hosts": list(names), **more}


PATHS = [
    (200, "/small"),
    (200, "/sync"),
    (200, "/big"),
    (200, "/stream"),
    (200, "/stream?parts=0"),
    (200, "/file"),
    (307, "/redirect"),
    (403, "/error"),
    (418, "/odd"),
    (500, "/fails"),
    (422, "/small?n=x"),
    (204, "/nothing"),
    (200, "/any"),
    (200, "/headers"),
    (200, "/headers?vary=%2A"),
    (200, "/encoded"),
    (200, "/bare"),
    (200, "/bare?length=1"),
    (200, "/image"),
    (206, "/partial"),
    (200, "/task"),
    (404, "/nowhere"),
    (307, "/small/"),
]
WITH = {"Accept-Encoding": "br, gzip;q=0.5", "Origin": ORIGIN}
EVERY: list[Any] = [
    *[(status, get(path)) for status, path in PATHS],
    *[(status, get(path, WITH)) for status, path in PATHS],
    (405, head("/big", WITH)),
    (200, head("/any", WITH)),
    (200, put("/any", WITH)),
    (200, options("/any")),
    (200, post("/echo", json=[1, 2, 3])),
    (200, post("/echo", WITH, json=[1, 2, 3])),
    (422, post("/echo", WITH, json="x")),
    ({200, 206}, get("/file", {"Range": "bytes=3-9", **WITH})),
    (200, get("/small", {"Accept-Encoding": "identity"})),
    (200, get("/small?again=1", WITH)),
]
PREFLIGHTS = [
    ({200, 400}, options("/any", {"Origin": origin, "Access-Control-Request-Method": method, **more}))
    for origin in (ORIGIN, "https://other.test")
    for method in ("PUT", "DELETE")
    for more in ({}, {"Access-Control-Request-Headers": "X-One, content-type"})
]
ORIGINS = [
    (200, get(path, {"Origin": origin, **more}))
    for path in ("/small", "/headers", "/stream")
    for origin in (ORIGIN, "https://other.test", "null", "https://a.sub.test", "")
    for more in ({}, {"Cookie": "a=b"})
]
SESSION_PATHS = [
    f"/session/{each}"
    for each in ("read", "get", "leave", "set", "sync", "inside", "clear", "pop", "replace", "vary", "stream", "error")
]
OLD = 15 * 24 * 3600
COOKIES: list[dict[str, str]] = [
    {},
    {"Cookie": "other=1; sessions=2"},
    cookie(signed({"user": "anna", "n": 4, "list": []})),
    cookie(signed({})),
    cookie(signed({"user": "anna"}, secret="another")),
    cookie(signed({"user": "anna"}, age=OLD)),
    cookie("not-signed-at-all"),
    cookie(""),
]
SESSIONS: list[Any] = [
    *[({200, 401}, get(path, headers)) for headers in COOKIES for path in SESSION_PATHS],
    (200, get("/session/vary?text=Cookie", COOKIES[2])),
    (200, get("/session/vary?text=%2A", COOKIES[2])),
    (500, get("/session/unwritable")),
    (500, get("/session/unwritable", COOKIES[2])),
    (200, get("/session/read", [("Cookie", "a=b"), ("Cookie", COOKIES[2]["Cookie"])])),
    (500, get("/session/read", cookie(TimestampSigner(SECRET).sign(b64encode(b"no json")).decode()))),
    ({200, 500}, get("/session/leave", cookie(TimestampSigner(SECRET).sign(b64encode(b"[1, 2]")).decode()))),
]
SOME_SESSIONS = SESSIONS[:12] + SESSIONS[12::3]
TASK = ["GET /task"]
QUIET: dict[str, Any] = {"fallback": TASK, "mask": MASK, "wild": False}


@case(EVERY, **QUIET)
def gzip_alone(trace: Trace) -> FastAPI:
    return stacked(trace, gzip())


@case(EVERY, **QUIET)
def gzip_of_everything_at_level_1(trace: Trace) -> FastAPI:
    return stacked(trace, gzip(minimum_size=0, compresslevel=1))


@case(EVERY[1::3], **QUIET)
def gzip_of_nearly_nothing_without_compression(trace: Trace) -> FastAPI:
    return stacked(trace, gzip(minimum_size=100_000, compresslevel=0))


@case(EVERY[20:], **QUIET)
def gzip_twice(trace: Trace) -> FastAPI:
    return stacked(trace, gzip(minimum_size=10), gzip())


@case(EVERY[::2], **QUIET)
def a_subclass_of_gzip(trace: Trace) -> FastAPI:
    return stacked(trace, (OwnGZip, {}), note(trace))


@case([*EVERY, *ORIGINS, *PREFLIGHTS], **QUIET)
def cors_with_gzip(trace: Trace) -> FastAPI:
    return stacked(trace, gzip(), cors())


@case([*EVERY, *ORIGINS, *PREFLIGHTS], **QUIET)
def cors_under_gzip_with_every_option(trace: Trace) -> FastAPI:
    options = {
        "allow_origin_regex": r"https://.*\.sub\.test",
        "allow_credentials": True,
        "allow_methods": ["GET", "PUT"],
        "allow_headers": ["X-One"],
        "expose_headers": ["X-Note", "X-Other"],
        "max_age": 7,
    }
    return stacked(trace, cors(**options), gzip())


@case([*EVERY[::3], *ORIGINS, *PREFLIGHTS], **QUIET)
def cors_for_all_twice(trace: Trace) -> FastAPI:
    return stacked(trace, cors(allow_origins=["*"], allow_credentials=True), cors(allow_origins=["*"]))


@case([*ORIGINS, *PREFLIGHTS], **QUIET)
def cors_with_origins_of_another_kind(trace: Trace) -> FastAPI:
    """A collection that can change unseen."""
    return stacked(trace, gzip(), cors(allow_origins={ORIGIN, "null"}))


def forbid(app: Any) -> None:
    app.user_middleware[0].kwargs["allow_origins"].clear()


@case(
    [
        *ORIGINS[:4],
        lambda app: app.user_middleware[0].kwargs["allow_origins"].append("https://other.test"),
        *ORIGINS[:4],
        forbid,
        *ORIGINS[:4],
    ],
    **QUIET,
)
def cors_whose_origins_change(trace: Trace) -> FastAPI:
    return stacked(trace, gzip(), cors(allow_origins=[ORIGIN]))


@case([*SESSIONS, *EVERY], **QUIET)
def session_alone(trace: Trace) -> FastAPI:
    return stacked(trace, session())


@case(SOME_SESSIONS, **QUIET)
def session_with_every_option(trace: Trace) -> FastAPI:
    options = {"max_age": None, "path": "/session", "same_site": "strict", "https_only": True, "domain": "faces.test"}
    return stacked(trace, session(**options))


def new_secret(app: FastAPI) -> None:
    found: Any = app.middleware_stack
    while type(found) is not SessionMiddleware:
        found = found.app
    found.signer.secret_keys[:] = [b"a new secret"]


READS = [(200, get("/session/read", COOKIES[2])), (200, get("/session/set", COOKIES[4]))]
READS += [(200, get("/session/read", cookie(signed({"user": "carl"}, secret="a new secret"))))]


@case([*READS, new_secret, *READS], **QUIET)
def session_whose_secret_changes(trace: Trace) -> FastAPI:
    return stacked(trace, session(), gzip())


@case([*READS, new_secret, *READS], **QUIET)
def session_whose_secret_changes_under_a_function(trace: Trace) -> FastAPI:
    return stacked(trace, session(), note(trace))


@case(
    [({200, 401}, get(path, cookie(signed({"user": "bert"}), "a b"))) for path in SESSION_PATHS],
    **QUIET,
)
def session_of_another_name_for_a_while(trace: Trace) -> FastAPI:
    return stacked(trace, session(session_cookie="a b", max_age=0), note(trace))


@case(SOME_SESSIONS, **QUIET)
def sessions_and_functions_around_each_other(trace: Trace) -> FastAPI:
    return stacked(trace, note(trace), session(), Slow, session(session_cookie="sessions"), note(trace))


@case([*SOME_SESSIONS, (200, get("/small?note=x")), (200, get("/session/read?note=y", COOKIES[2]))], **QUIET)
def session_outside_of_a_function(trace: Trace) -> FastAPI:
    return stacked(trace, Slow, gzip(minimum_size=10), session())


@case([(500, get("/session/unwritable")), (500, get("/session/unwritable?a=1", COOKIES[2]))], **QUIET)
def session_that_cannot_be_written(trace: Trace) -> FastAPI:
    app = stacked(trace, session(), gzip())

    @app.exception_handler(TypeError)
    async def handle(request: Request, exc: TypeError):
        trace("handler")
        return PlainTextResponse("handled", 418)

    @app.exception_handler(500)
    async def last(request: Request, exc: Exception):
        trace("last", repr(exc))
        return PlainTextResponse("last", 500)

    return app


HOSTS = [
    ({200, 307, 400}, get("/small?a=b", {"Host": host}))
    for host in (
        "faces.test",
        "FACES.test:8000",
        "evil.test",
        "a.b.wild.test",
        "wild.test",
        "bare.test",
        "",
        "[::1]:80",
    )
]


@case([*HOSTS, *EVERY[::4], *HOSTS], **QUIET)
def hosts_alone(trace: Trace) -> FastAPI:
    return stacked(trace, hosts("faces.test", "*.wild.test", "www.bare.test"))


@case([*HOSTS, *HOSTS], **QUIET)
def hosts_without_redirect_under_a_function(trace: Trace) -> FastAPI:
    return stacked(trace, hosts("faces.test", "www.bare.test", www_redirect=False), note(trace), gzip())


@case([*HOSTS, *HOSTS], **QUIET)
def hosts_for_all(trace: Trace) -> FastAPI:
    return stacked(trace, note(trace), hosts("*"))


@case(
    [({307, 400}, step[1]) for step in [*EVERY[:8], *HOSTS]],
    **QUIET,
)
def https_alone(trace: Trace) -> FastAPI:
    return stacked(trace, HTTPSRedirectMiddleware)


class Secure:
    """Says that the connection is a secure one where a proxy does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (b"x-forwarded-proto", b"https") in scope["headers"]:
            scope["scheme"] = "https"
        await self.app(scope, receive, send)


async def secure(request: Request, call_next: Any) -> Any:
    if request.headers.get("x-forwarded-proto") == "https":
        request.scope["scheme"] = "https"
    return await call_next(request)


SECURE = [
    *[(307, get(path)) for _, path in PATHS[:6]],
    *[(status, get(path, {"X-Forwarded-Proto": "https", **WITH})) for status, path in PATHS],
    *[({307, 400}, step[1]) for step in HOSTS],
]


@case(SECURE, **QUIET)
def https_under_a_function(trace: Trace) -> FastAPI:
    return stacked(trace, note(trace), HTTPSRedirectMiddleware, secure)


@case(SECURE, **QUIET)
def https_under_another_application(trace: Trace) -> FastAPI:
    return stacked(trace, HTTPSRedirectMiddleware, note(trace), Secure)


ALL = [*EVERY[::2], *ORIGINS[::2], *PREFLIGHTS[::3], *SOME_SESSIONS, *HOSTS]


@case(ALL, **QUIET)
def all_of_them(trace: Trace) -> FastAPI:
    return stacked(trace, session(), gzip(), hosts("faces.test", "www.bare.test"), cors(), note(trace))


@case(ALL, **QUIET)
def all_of_them_around_another_application(trace: Trace) -> FastAPI:
    return stacked(trace, Plain, session(), gzip(), hosts("faces.test"), cors())


@case(ALL, **QUIET)
def another_application_around_all_of_them(trace: Trace) -> FastAPI:
    return stacked(trace, note(trace), cors(), hosts("faces.test"), gzip(), session(), Plain)


@case([(200, get("/shared")), (200, get("/shared")), (200, get("/shared", WITH))], **QUIET)
def headers_of_a_shared_response(trace: Trace) -> FastAPI:
    return stacked(trace, cors(), session(), hosts("faces.test"))


@case([step for step in ALL if step[0] == 500 or step[1].target.startswith(b"/e")], **QUIET)
def all_of_them_while_debugging(trace: Trace) -> FastAPI:
    app = stacked(trace, session(), gzip(), cors())

    @app.exception_handler(Exception)
    async def handle(request: Request, exc: Exception):
        trace("handler", sorted(request.scope.get("session", {})))
        return JSONResponse({"error": type(exc).__name__}, 500)

    return app
