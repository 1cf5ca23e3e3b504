"""Response models and every response_model_* option."""

import dataclasses
from typing import Annotated, Any, Generic, TypeVar

from fastapi import FastAPI, Path, Response
from pydantic import BaseModel, ConfigDict, Field, computed_field, field_serializer, model_serializer
from typing_extensions import TypedDict

from ..case import case
from ..request import get, post
from ..trace import Trace


class Inner(BaseModel):
    x: int = 1
    y: int | None = None


class Item(BaseModel):
    name: str
    price: float = 10.5
    note: str | None = None
    secret: str = Field("hidden", alias="theSecret")
    inner: Inner = Inner()

    model_config = ConfigDict(populate_by_name=True)


class Public(BaseModel):
    name: str
    price: float = 1.0


@case(
    [
        (200, get(f"/{way}/{value}"))
        for way in ("model", "return", "list", "public")
        for value in ("model", "dict", "all")
    ]
)
def response_model(trace: Trace) -> FastAPI:
    app = FastAPI()
    values: dict[str, Any] = {
        "model": Item(name="n"),
        "dict": {"name": "d", "price": "3", "more": 1},
        "all": Item(name="a", price=1, note="x", secret="s", inner=Inner(x=5, y=6)),
    }

    @app.get("/model/{value}", response_model=Item)
    async def by_model(value: str):
        return values[value]

    @app.get("/return/{value}")
    def by_annotation(value: str) -> Item:
        return values[value]

    @app.get("/list/{value}", response_model=list[Item])
    async def listed(value: str):
        return [values[value], values["model"]]

    @app.get("/public/{value}")
    async def filtered(value: str) -> Public:
        return values[value]

    return app


OPTIONS: dict[str, dict[str, Any]] = {
    "unset": {"response_model_exclude_unset": True},
    "defaults": {"response_model_exclude_defaults": True},
    "none": {"response_model_exclude_none": True},
    "include": {"response_model_include": {"name", "price"}},
    "include-list": {"response_model_include": ["name", "note"]},
    "include-deep": {"response_model_include": {"name": True, "inner": {"y"}}},
    "exclude": {"response_model_exclude": {"price"}},
    "exclude-deep": {"response_model_exclude": {"inner": {"x": True}, "secret": True}},
    "names": {"response_model_by_alias": False},
    "several": {
        "response_model_exclude_unset": True,
        "response_model_exclude": {"name"},
        "response_model_by_alias": False,
    },
    "none-and-defaults": {"response_model_exclude_none": True, "response_model_exclude_defaults": True},
}


@case([(200, get(f"/{name}/{value}")) for name in OPTIONS for value in (0, 1, 2, 3)])
def response_model_options(trace: Trace) -> FastAPI:
    app = FastAPI()
    values = [
        Item(name="n"),
        Item(name="n", price=10.5, note=None),
        {"name": "d", "inner": {"y": 2}},
        Item(name="all", note="x", secret="s", inner=Inner(y=3)),
    ]

    def make():
        async def handler(value: int):
            return values[value]

        return handler

    for name, options in OPTIONS.items():
        app.get(f"/{name}/{{value}}", response_model=Item, **options)(make())
    return app


@case(
    [
        (500, get("/wrong")),
        (500, get("/none")),
        (200, get("/nullable")),
        (500, get("/list")),
        (500, get("/sync")),
        (200, get("/unchecked")),
        (200, get("/response")),
        (200, get("/union?kind=response")),
        (200, get("/union?kind=dict")),
        (500, get("/text")),
    ]
)
def response_model_mismatch(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/wrong", response_model=Item)
    async def wrong():
        trace("wrong")
        return {"price": "x"}

    @app.get("/none", response_model=Item)
    async def none():
        return None

    @app.get("/nullable")
    async def nullable() -> Item | None:
        return None

    @app.get("/list", response_model=list[Item])
    async def listed():
        return [Item(name="n"), {"name": 1}]

    @app.get("/sync", response_model=Item)
    def sync():
        trace("sync")
        return "text"

    @app.get("/unchecked", response_model=None)
    async def unchecked() -> int:
        return "text"  # type: ignore[return-value]

    @app.get("/response")
    async def response() -> Response:
        return Response("plain", media_type="text/plain")

    @app.get("/union", response_model=None)
    async def union(kind: str) -> Response | dict[str, int]:
        return Response("r") if kind == "response" else {"a": 1}

    @app.get("/text")
    async def text() -> int:
        return "x"  # type: ignore[return-value]

    return app


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5
    tags: list[str] = dataclasses.field(default_factory=list)


class Typed(TypedDict, total=False):
    a: int
    b: str


T = TypeVar("T")


class Paged(BaseModel, Generic[T]):
    items: list[T]
    total: int


class Custom(BaseModel):
    a: int
    b: float

    @computed_field
    @property
    def total(self) -> float:
        return self.a + self.b

    @field_serializer("b")
    def half(self, value: float) -> str:
        return f"{value / 2}"


class Whole(BaseModel):
    a: int

    @model_serializer
    def all_of_it(self) -> dict[str, Any]:
        return {"whole": self.a, "twice": [self.a, self.a]}


class Animal(BaseModel):
    name: str


class Cat(Animal):
    lives: int = 9


class Row:
    """Not a model: an object with attributes, as an ORM gives."""

    def __init__(self) -> None:
        self.name = "row"
        self.price = 2


class FromRow(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str
    price: float


RICH = [
    "point",
    "points",
    "typed",
    "paged",
    "custom",
    "whole",
    "cat",
    "cats",
    "row",
    "rows",
    "dict",
    "tuple",
    "set",
    "scalar",
]


@case(
    [(200, get(f"/{name}")) for name in RICH]
    + [(200, post("/point", json={"x": 1})), (422, post("/point", json={"y": 1}))]
)
def response_model_kinds(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/point")
    async def point() -> Point:
        return Point(1)

    @app.post("/point")
    async def new_point(point: Point) -> Point:
        return point

    @app.get("/points", response_model=list[Point])
    def points():
        return [Point(1), {"x": 2, "y": "3.5"}]

    @app.get("/typed")
    async def typed() -> Typed:
        return {"a": 1}

    @app.get("/paged")
    async def paged() -> Paged[Animal]:
        return Paged[Animal](items=[Cat(name="tom")], total=1)

    @app.get("/custom")
    async def custom() -> Custom:
        return Custom(a=1, b=3)

    @app.get("/whole")
    def whole() -> Whole:
        return Whole(a=4)

    @app.get("/cat")
    async def cat() -> Animal:
        return Cat(name="tom")

    @app.get("/cats")
    async def cats() -> dict[str, list[Animal]]:
        return {"all": [Cat(name="tom"), Animal(name="x")]}

    @app.get("/row", response_model=FromRow)
    async def row():
        return Row()

    @app.get("/rows", response_model=list[FromRow])
    def rows():
        return (Row() for _ in range(3))

    @app.get("/dict")
    async def mapping() -> dict[int, float]:
        return {1: 1, 2: 2.5}

    @app.get("/tuple")
    async def pair() -> tuple[int, str]:
        return (1, "a")

    @app.get("/set")
    async def one() -> set[int]:
        return {5}

    @app.get("/scalar")
    async def scalar() -> int:
        return True

    return app


@case([(200, get("/100")), (200, get("/0")), (200, get("/sync/50")), (200, get("/prebuilt"))])
def response_model_many_rows(trace: Trace) -> FastAPI:
    app = FastAPI()
    Count = Annotated[int, Path(ge=0, le=150)]
    prebuilt = [Item(name=f"n{i}", price=i / 3) for i in range(100)]

    @app.get("/prebuilt", response_model=list[Item])
    async def ready():
        return prebuilt

    @app.get("/{count}")
    async def rows(count: Count) -> list[Public]:
        return [Public(name=f"row {i} \u00e9", price=i * 0.1) for i in range(count)]

    @app.get("/sync/{count}")
    def rows_sync(count: Count) -> list[Public]:
        return [Public(name=f"row {i}") for i in range(count)]

    return app
