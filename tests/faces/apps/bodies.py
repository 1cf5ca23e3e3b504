"""JSON bodies: one, several, embedded, optional, wrong, and none."""

from typing import Annotated, Any, Literal

from fastapi import Body, FastAPI
from pydantic import BaseModel, ConfigDict, Field

from ..case import case
from ..request import get, post, put, request
from ..trace import Trace
from .show import seen

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
    [
        (200, put("/4", json={"item": {"name": "a"}, "user": {"login": "b"}, "importance": 3})),
        (422, put("/4", json={"item": {"name": "a"}, "user": {}, "importance": 0})),
        (422, put("/x", json={"name": "a"})),
        (422, put("/4", json=[])),
        (422, put("/4", json=None)),
        (422, put("/4")),
        (200, post("/embed", json={"item": {"name": "a"}})),
        (422, post("/embed", json={"name": "a"})),
        (422, post("/embed", JSON, body=b"[1]")),
        (200, post("/alias", json={"the-item": {"name": "x"}})),
        (422, post("/alias", json={"item": {"name": "x"}})),
    ]
)
def body_several(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Item(BaseModel):
        name: str

    class User(BaseModel):
        login: str

    @app.put("/{number}")
    async def update(number: int, item: Item, user: User, importance: Annotated[int, Body(gt=0)], q: str = "none"):
        trace("update", number)
        return {"number": number, "item": item, "user": user, "importance": importance, "q": q}

    @app.post("/embed")
    def embed(item: Annotated[Item, Body(embed=True)]):
        return item

    @app.post("/alias")
    async def alias(item: Annotated[Item, Body(embed=True, alias="the-item")]):
        return item

    return app


@case(
    [
        (200, post("/model")),
        (200, post("/model", JSON, body=b"null")),
        (200, post("/model", json={"name": "x"})),
        (422, post("/model", json={})),
        (200, post("/default")),
        (200, post("/default", json={"name": "y"})),
        (422, post("/two", json={})),
        (200, post("/two", json={"a": 1})),
        (422, post("/two")),
        (200, post("/all", json={})),
        (200, post("/all")),
        ({200, 422}, post("/all", JSON, body=b"null")),
    ]
)
def body_optional(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Item(BaseModel):
        name: str

    @app.post("/model")
    async def model(item: Item | None = None):
        return {"item": item}

    @app.post("/default")
    async def default(item: Item = Item(name="made")):
        return {"item": item}

    @app.post("/two")
    async def two(a: Annotated[int, Body()], b: Annotated[str | None, Body()] = None):
        return seen(a=a, b=b)

    @app.post("/all")
    async def everything(a: Annotated[int, Body()] = 1, b: Annotated[str | None, Body()] = None):
        return seen(a=a, b=b)

    return app


@case(
    [(200, post("/int", json=5)), (422, post("/int", json="five")), (200, post("/int", json="5"))]
    + [(422, post("/int", json=5.5)), (200, post("/int", json=5.0)), (200, post("/int", json=2**70))]
    + [(200, post("/list", json=[1, 2])), (422, post("/list", json=[1, "x", None])), (422, post("/list", json={}))]
    + [(200, post("/dict", json={"1": 1.5, "2": 2})), (422, post("/dict", json={"x": 1}))]
    + [
        ({200, 422}, post("/any", JSON, body=raw))
        for raw in (b"1", b'"x"', b"[1,{}]", b"null", b"true", b"1e5", b"-0", b"")
    ]
    + [(200, post("/any", {"Content-Type": "text/plain"}, body=b"text")), (200, post("/free", json={"a": [1, None]}))]
    + [(422, post("/free", json=[])), (200, post("/text", json="x")), (422, post("/text", json=1))]
    + [
        ({200, 422}, post("/bytes", json="x")),
        ({200, 422}, post("/text", {"Content-Type": "text/plain"}, body=b"text")),
    ]
    + [(200, post("/union", json={"kind": "cat", "lives": 9})), (422, post("/union", json={"kind": "cow"}))]
    + [(422, post("/union", json={"kind": "dog"})), (200, post("/union", json={"kind": "dog", "barks": True}))]
)
def body_not_a_model(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Cat(BaseModel):
        kind: Literal["cat"]
        lives: int

    class Dog(BaseModel):
        kind: Literal["dog"]
        barks: bool

    @app.post("/int")
    async def integer(n: Annotated[int, Body()]):
        return seen(n=n)

    @app.post("/list")
    async def listed(n: list[int]):
        return seen(n=n)

    @app.post("/dict")
    async def mapping(n: dict[int, float]):
        return seen(n=n)

    @app.post("/any")
    async def anything(n: Annotated[Any, Body()] = None):
        return seen(n=n)

    @app.post("/free")
    def free(n: dict):
        return seen(n=n)

    @app.post("/text")
    async def text(n: Annotated[str, Body()]):
        return seen(n=n)

    @app.post("/bytes")
    async def octets(n: Annotated[bytes, Body()]):
        return seen(n=n)

    @app.post("/union")
    async def union(n: Annotated[Cat | Dog, Body(discriminator="kind")]):
        return {"type": type(n).__name__, "n": n}

    return app


@case(
    [
        (200, post("/", json={"name": "n", "inner": {"value": 1, "more": [{"x": 1}, {"x": 2}]}})),
        (422, post("/", json={"name": "n", "inner": {"value": "z", "more": [{"x": 1}, {"y": 2}, 3]}})),
        (422, post("/", json={"name": "n", "inner": None})),
        (422, post("/forbid", json={"a": 1, "b": 2})),
        (200, post("/forbid", json={"a": 1})),
        (200, post("/allow", json={"a": 1, "b": {"c": [1]}})),
        (422, post("/strict", json={"a": "1"})),
        (422, post("/strict", json={"a": 1.0})),
        (200, post("/strict", json={"a": 1})),
        (200, post("/alias", json={"theName": 1})),
        (422, post("/alias", json={"the_name": 1})),
        (200, post("/rules", json={"a": 5, "s": "abc", "l": [1]})),
        (422, post("/rules", json={"a": 0, "s": "a", "l": []})),
    ]
)
def body_nested_and_configured(trace: Trace) -> FastAPI:
    app = FastAPI()

    class More(BaseModel):
        x: int

    class Inner(BaseModel):
        value: int
        more: list[More]

    class Outer(BaseModel):
        name: str
        inner: Inner

    class Forbid(BaseModel):
        model_config = ConfigDict(extra="forbid")
        a: int

    class Allow(BaseModel):
        model_config = ConfigDict(extra="allow")
        a: int

    class Strict(BaseModel):
        model_config = ConfigDict(strict=True)
        a: int

    class Aliased(BaseModel):
        the_name: int = Field(alias="theName")

    class Rules(BaseModel):
        a: int = Field(gt=0)
        s: str = Field(min_length=2, pattern="^a")
        l: list[int] = Field(min_length=1)  # noqa: E741

    for path, model in [
        ("", Outer),
        ("forbid", Forbid),
        ("allow", Allow),
        ("strict", Strict),
        ("alias", Aliased),
        ("rules", Rules),
    ]:

        def make(model: type[BaseModel]):
            async def create(item: model):
                return item

            return create

        app.post(f"/{path}")(make(model))
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
