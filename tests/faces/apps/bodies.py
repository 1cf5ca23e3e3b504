"""JSON bodies: one, several, embedded, optional, wrong, and none."""

from fastapi import FastAPI
from pydantic import BaseModel

from ..case import case
from ..request import get, post, request
from ..trace import Trace

ITEM = {"name": "pen", "price": 1.5}
JSON = {"Content-Type": "application/json"}

# What travels as a body, whether or not it is JSON.
RAW = [
    b"",
    b" ",
    b"{}",
    b"[]",
    b"null",
    b"{",
    b'{"name": "pen", "price": 1.5',
    b'{"name": "pen", "price": 1.5}x',
    b'{"name": "pen", "price": 1.5}\n\n',
    b'\t{"name": "pen"\r\n, "price": 1.5}',
    b"{'name': 'pen', 'price': 1.5}",
    b'{"name": "pen", "price": 1.5,}',
    b'{"name": "pen", "price": NaN}',
    b'{"name": "pen", "price": Infinity}',
    b'{"name": "pen", "price": -Infinity, "tags": []}',
    b'{"name": "pen", "price": 1e400}',
    b'{"name": "pen", "price": -0.0}',
    b'{"name": "pen", "price": 1E+2}',
    b'{"name": "pen", "price": 01}',
    b'{"name": "pen", "price": 0x10}',
    b'{"name": "pen", "price": ' + b"9" * 400 + b"}",
    b'{"name": "pen", "price": ' + b"9" * 5000 + b"}",
    b'{"name": "pen", "price": "2.5"}',
    b'{"name": "pen", "price": true}',
    b'{"name": "\\ud83d\\ude00", "price": 1}',
    b'{"name": "\\ud800", "price": 1}',
    b'{"name": "\\ude00\\ud83d", "price": 1}',
    b'{"name": "\xed\xa0\x80", "price": 1}',
    b'{"name": "\xff", "price": 1}',
    b'{"name": "\xc3\xa9\xe6\x97\xa5\xf0\x9f\x90\x8d", "price": 1}',
    b'{"name": "a\x00b", "price": 1}',
    b'{"name": "a\\u0000b", "price": 1}',
    b'{"name": "a\nb", "price": 1}',
    b'{"name": "pen", "name": "ink", "price": 1, "price": 2}',
    b'{"name": "pen", "price": 1, "": 1, "extra": {"deep": [1, {"a": null}]}}',
    b'\xef\xbb\xbf{"name": "pen", "price": 1}',
    '{"name": "pen", "price": 1}'.encode("utf-16"),
    '{"name": "pen", "price": 1}'.encode("utf-16-le"),
    '{"name": "pen", "price": 1}'.encode("utf-32"),
    b"[" * 100_000,
    b"[" * 60 + b"]" * 60,
    b'{"name": 5, "price": "x", "tags": ["a", 1, null]}',
    b'{"name": null, "price": null, "tags": null, "note": null}',
    b'{"name": "' + b"x" * 70_000 + b'", "price": 1}',
    b'{"name": "pen", "price": 1, "tags": [' + b'"t",' * 20_000 + b'"t"]}',
]


@case(
    [({200, 400, 422, 500}, post("/", JSON, body=raw)) for raw in RAW]
    + [(200, post("/", json=ITEM)), (200, post("/", json={**ITEM, "tags": ["a"], "note": "n", "more": 1}))]
    + [(200, post("/", JSON, body=b'{"name": "pen", "price": 1}', chunks=[1, 2, 3, 20]))]
    + [(422, post("/")), (405, get("/")), (422, post("/", json="text")), (422, post("/", json=[ITEM]))]
)
def body_model(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Item(BaseModel):
        name: str
        price: float
        tags: list[str] = []
        note: str | None = None

    @app.post("/")
    async def create(item: Item):
        trace("create", ascii(item.name)[:40], item.price)
        return item

    return app


TYPES = ["application/json", "APPLICATION/JSON", "application/json; charset=utf-8", "application/json;charset=latin-1"]
TYPES += ["application/vnd.api+json", "application/problem+json; q=1", "application/+json", "application/jsonx"]
TYPES += ["text/plain", "text/json", "application/x-www-form-urlencoded", "", " ", "application", "/json", "json"]
TYPES += [
    "application/json, text/plain",
    "application/geo+JSON",
    "multipart/form-data",
    "application/xml",
    "; application/json",
]


@case(
    [({200, 422}, post("/", {"Content-Type": kind}, json=ITEM)) for kind in TYPES]
    + [({200, 422}, post("/", body=b'{"name": "pen", "price": 1}'))]
    + [({200, 422}, post("/", [("Content-Type", "text/plain"), ("Content-Type", "application/json")], json=ITEM))]
    + [
        (500, post("/", {"Content-Type": "text/plain"}, body=b"\xff\xfe")),
        (422, post("/", {"Content-Type": "text/plain"})),
    ]
    + [(422, post("/", {"Content-Type": "text/plain"}, body=b"caf\xc3\xa9"))]
)
def body_content_types(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Item(BaseModel):
        name: str
        price: float

    @app.post("/")
    def create(item: Item):
        trace("create")
        return item

    return app


@case(
    [
        (200, post("/loose", json=ITEM)),
        (200, post("/loose", body=b'{"name": "pen"}')),
        (422, post("/loose", {"Content-Type": "text/plain"}, body=b'{"name": "pen"}')),
        (422, post("/loose", body=b"{")),
        (422, post("/strict", body=b'{"name": "pen"}')),
        (200, post("/strict", json=ITEM)),
    ],
    since=("0.132.0", "strict_content_type"),
)
def body_strict_content_type(trace: Trace) -> FastAPI:
    from fastapi import APIRouter

    app = FastAPI()

    class Item(BaseModel):
        name: str

    loose = APIRouter(strict_content_type=False)

    @loose.post("/loose")
    async def create_loosely(item: Item):
        return item

    @app.post("/strict")
    async def create(item: Item):
        return item

    app.include_router(loose)
    return app


@case(
    [(200, request(method, "/", json=ITEM)) for method in ("POST", "PUT", "PATCH", "DELETE")]
    + [(200, request(method, "/none")) for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "GET")]
    + [(200, request(method, "/none", json=ITEM)) for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET")]
    + [(405, request(method, "/none")) for method in ("TRACE", "FOO", "get", "PROPFIND")]
    + [(422, request("DELETE", "/")), (405, request("GET", "/", json=ITEM)), (200, get("/body", json=ITEM))]
)
def methods(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Item(BaseModel):
        name: str

    @app.api_route("/", methods=["POST", "PUT", "PATCH", "DELETE"])
    async def create(item: Item):
        return item

    @app.api_route("/none", methods=["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "GET"])
    async def nothing():
        return {"ok": True}

    @app.get("/body")
    async def unusual(item: Item):
        return item

    return app


@case(
    [
        (200, post("/app", json={"name": "x" * 20})),
        (413, post("/app", json={"name": "x" * 200})),
        (200, post("/route", json={"name": "x" * 200})),
        (413, post("/route", json={"name": "x" * 2000})),
        (413, post("/app", JSON, body=b" " * 300, chunks=[100, 100, 100])),
        (422, post("/app", json={})),
        (200, post("/unread", body=b"y" * 90)),
        ({200, 413}, post("/unread", body=b"y" * 900)),
    ],
    fallback=[f"GET {path}" for path in ("/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json")],
    since=("0.164.0", "max_body_size"),
)
def body_limits(trace: Trace) -> FastAPI:
    app = FastAPI(max_body_size=100)

    class Item(BaseModel):
        name: str

    @app.post("/app")
    async def by_app(item: Item):
        trace("by_app")
        return item

    @app.post("/route", max_body_size=1000)
    def by_route(item: Item):
        trace("by_route")
        return item

    @app.post("/unread")
    async def unread():
        return "unread"

    return app
