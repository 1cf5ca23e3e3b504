"""CORS, which runs beside compiled routes."""

from typing import Any

from fastapi import FastAPI, HTTPException, Response
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware import Middleware

from ..case import case
from ..request import Request, get, head, options, post, put
from ..trace import Trace

ORIGIN = "https://page.test"
ORIGINS = [ORIGIN, "https://other.test", "http://page.test", "null", "", "https://sub.page.test", "HTTPS://PAGE.TEST"]


def preflight(
    origin: str, method: str | None = "GET", names: str | None = None, path: str = "/", *more: tuple[str, str]
) -> Request:
    fields = [("Origin", origin)]
    if method is not None:
        fields.append(("Access-Control-Request-Method", method))
    if names is not None:
        fields.append(("Access-Control-Request-Headers", names))
    return options(path, [*fields, *more])


ASKS = [
    *[({200, 400, 405}, preflight(origin)) for origin in ORIGINS],
    *[({200, 400, 405}, preflight(ORIGIN, method)) for method in ("POST", "PUT", "get", "FOO", "", "DELETE")],
    *[
        ({200, 400, 405}, preflight(ORIGIN, "POST", names))
        for names in ("X-One", "x-one, content-type", "X-Other", "", "X-One,,X-Two", "accept")
    ],
    ({200, 400, 404}, preflight(ORIGIN, "GET", None, "/nowhere")),
    ({200, 400, 405}, preflight(ORIGIN, None)),
    ({200, 400, 405}, preflight(ORIGIN, "GET", None, "/", ("Access-Control-Request-Private-Network", "true"))),
    ({200, 405}, options("/")),
    *[(200, get("/", {"Origin": origin})) for origin in ORIGINS],
    (200, get("/")),
    (200, get("/", [("Origin", ORIGIN), ("Origin", "https://other.test")])),
    (200, get("/", {"Origin": ORIGIN, "Cookie": "a=b"})),
    (200, get("/vary", {"Origin": ORIGIN, "Cookie": "a=b"})),
    (200, get("/vary")),
    (404, get("/nowhere", {"Origin": ORIGIN})),
    (405, put("/", {"Origin": ORIGIN})),
    (422, get("/?n=x", {"Origin": ORIGIN})),
    (403, get("/raises", {"Origin": ORIGIN})),
    (500, get("/fails", {"Origin": ORIGIN})),
    (307, get("/slash", {"Origin": ORIGIN})),
    (200, post("/sync", {"Origin": ORIGIN})),
    (405, head("/", {"Origin": ORIGIN})),
    (200, get("/openapi.json", {"Origin": ORIGIN})),
]


def shop(trace: Trace, **settings: Any) -> FastAPI:
    app = FastAPI()
    app.add_middleware(CORSMiddleware, **settings)

    @app.get("/")
    async def read(n: int = 1):
        trace("read", n)
        return n

    @app.get("/vary")
    async def vary(response: Response):
        response.headers["Vary"] = "Accept-Encoding"
        response.headers["Access-Control-Allow-Origin"] = "set by the handler"
        return "vary"

    @app.get("/raises")
    async def raises():
        raise HTTPException(403, "no", {"X-Raised": "1"})

    @app.get("/fails")
    async def fails():
        raise RuntimeError("no headers of CORS on this one")

    @app.get("/slash/")
    async def slash():
        return "slash"

    @app.post("/sync")
    def sync():
        return "sync"

    return app


@case(ASKS)
def cors_wildcard(trace: Trace) -> FastAPI:
    return shop(trace, allow_origins=["*"])


@case(ASKS)
def cors_default(trace: Trace) -> FastAPI:
    return shop(trace)


@case(ASKS)
def cors_listed(trace: Trace) -> FastAPI:
    return shop(
        trace, allow_origins=[ORIGIN, "null"], allow_methods=["GET", "POST"], allow_headers=["X-One"], max_age=5
    )


@case(ASKS)
def cors_credentials(trace: Trace) -> FastAPI:
    return shop(
        trace,
        allow_origins=["*"],
        allow_credentials=True,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["X-A", "X-B"],
    )


@case(ASKS)
def cors_regex(trace: Trace) -> FastAPI:
    return shop(trace, allow_origin_regex=r"https://(.*\.)?page\.test", allow_methods=["PUT"], expose_headers=["X-A"])


@case(ASKS)
def cors_credentials_and_list(trace: Trace) -> FastAPI:
    return shop(trace, allow_origins=[ORIGIN], allow_credentials=True, allow_headers=["*"], allow_methods=("GET",))


@case(
    [
        (200, get("/", {"Origin": ORIGIN})),
        (200, preflight(ORIGIN)),
        (400, preflight("https://other.test")),
        (404, get("/x")),
    ]
)
def cors_in_the_constructor(trace: Trace) -> FastAPI:
    app = FastAPI(middleware=[Middleware(CORSMiddleware, allow_origins=[ORIGIN])])

    @app.get("/")
    def read():
        return "read"

    return app
