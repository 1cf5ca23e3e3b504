"""JSON bodies: several, embedded, optional, of every type."""

from typing import Annotated, Any, Literal

from fastapi import Body, FastAPI
from pydantic import BaseModel, ConfigDict, Field

from ..case import case
from ..request import post, put
from ..trace import Trace
from .show import seen

JSON = {"Content-Type": "application/json"}


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
