"""Models that say themselves how they become JSON, and how they are read."""

import datetime
import enum
from decimal import Decimal
from typing import Annotated, Any, Literal, Union

import pydantic
from fastapi import Body, FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from pydantic import (
    AliasChoices,
    AliasPath,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializeAsAny,
    WrapSerializer,
)
from pydantic.alias_generators import to_camel

from ..case import case
from ..request import get, post
from ..trace import Trace


class Base64(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes = b"\xff\x00"


class Infinite(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants", ser_json_timedelta="float")
    value: float = float("inf")
    span: datetime.timedelta = datetime.timedelta(seconds=1.5)


class Strings(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="strings", use_enum_values=True)
    value: float = float("nan")


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    first_name: str = "a"
    last_name: str | None = None


class Aliases(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    inward: int = Field(1, validation_alias=AliasChoices("in", AliasPath("deep", 0)))
    outward: int = Field(2, serialization_alias="out")
    hidden: int = Field(3, exclude=True)
    _private: int = 4


def shout(value: Any, handler: Any) -> str:
    return f"{handler(value)}!"


class Serializers(BaseModel):
    plain: Annotated[int, PlainSerializer(lambda value: f"<{value}>", return_type=str)] = 1
    wrapped: Annotated[str, WrapSerializer(shout)] = "a"
    in_json: Annotated[int, PlainSerializer(str, when_used="json")] = 2
    if_some: Annotated[int | None, PlainSerializer(str, when_used="unless-none")] = None
    kept: Base64Bytes = b"eA=="


class Animal(BaseModel):
    name: str = "a"


class Dog(Animal):
    barks: bool = True


class Cage(BaseModel):
    one: Animal = Dog()
    as_any: SerializeAsAny[Animal] = Dog()
    many: list[Animal] = [Dog(), Animal()]


class Node(BaseModel):
    value: int = 1
    children: list["Node"] = []


class Color(enum.Enum):
    RED = "r"


class Rich(BaseModel):
    when: datetime.datetime = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    day: datetime.date = datetime.date(2024, 2, 29)
    time: datetime.time = datetime.time(1, 2, 3, 4)
    span: datetime.timedelta = datetime.timedelta(days=1, seconds=2)
    amount: Decimal = Decimal("1.50")
    small: Decimal = Decimal("1E-10")
    color: Color = Color.RED
    numbers: set[int] = {1}
    pair: tuple[int, str] = (1, "a")
    keys: dict[int, Color] = {1: Color.RED}
    either: int | str = "1"
    anything: Any = (1, {2})
    data: bytes = b"text"
    nothing: None = None


MODELS: dict[str, type[BaseModel]] = {
    "base64": Base64,
    "infinite": Infinite,
    "strings": Strings,
    "camel": Camel,
    "aliases": Aliases,
    "serializers": Serializers,
    "cage": Cage,
    "node": Node,
    "rich": Rich,
}


@case(
    [
        ({200, 500}, get(f"/{way}/{name}"))
        for way in ("model", "annotated", "bare", "list", "excluded")
        for name in MODELS
    ]
)
def models_out(trace: Trace) -> FastAPI:
    app = FastAPI()

    def make(kind: Any, way: str):
        async def model():
            return kind()

        async def annotated() -> kind:
            return kind()

        def listed() -> list[kind]:
            return [kind(), kind()]

        return {"model": model, "annotated": annotated, "bare": model, "list": listed, "excluded": model}[way]

    for name, kind in MODELS.items():
        app.get(f"/model/{name}", response_model=kind)(make(kind, "model"))
        app.get(f"/annotated/{name}")(make(kind, "annotated"))
        app.get(f"/bare/{name}")(make(kind, "bare"))
        app.get(f"/list/{name}")(make(kind, "list"))
        options = {"response_model_exclude_defaults": True, "response_model_by_alias": False}
        app.get(f"/excluded/{name}", response_model=kind, **options)(make(kind, "excluded"))
    return app


BODIES = [
    ("base64", {"data": "_w=="}),
    ("base64", {"data": "?"}),
    ("infinite", {"value": 1.5, "span": 3}),
    ("camel", {"firstName": "x", "last_name": "y"}),
    ("camel", {"firstName": 1}),
    ("aliases", {"in": 5}),
    ("aliases", {"deep": [6], "outward": 7, "hidden": 8}),
    ("aliases", {"in": "x", "out": 7}),
    ("serializers", {"plain": 5, "wrapped": "w", "kept": "eHg="}),
    ("cage", {"one": {"name": "b", "barks": False}, "many": []}),
    ("node", {"children": [{"value": 2, "children": [{}]}]}),
    ("node", {"children": [{"value": "x", "children": [{"children": 5}]}]}),
    ("rich", {"when": "2024-01-01T00:00:00", "day": "2024-01-01", "span": "P1D", "amount": "1.0", "either": 5}),
    ("rich", {"when": 1700000000, "amount": 1.1, "color": "r", "keys": {"5": "r"}, "either": "x", "data": "\u00e9"}),
    (
        "rich",
        {"when": "x", "day": 5.5, "amount": "NaN", "color": "b", "keys": {"a": "r"}, "pair": [1], "numbers": "12"},
    ),
]


@case([({200, 422, 500}, post(f"/{name}", json=body)) for name, body in BODIES])
def models_in_and_out(trace: Trace) -> FastAPI:
    app = FastAPI()

    def make(kind: Any):
        async def create(item: kind) -> kind:
            trace("create", ascii(item)[:200])
            return item

        return create

    for name, kind in MODELS.items():
        app.post(f"/{name}")(make(kind))
    return app


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Cow(BaseModel):
    kind: Literal["cow"] = "cow"
    milk: float = 1.0


@case(
    [(200, get(f"/{name}/{kind}")) for name in ("union", "discriminated", "optional") for kind in ("cat", "cow")]
    + [(200, get("/optional/none")), (500, get("/union/dog")), (200, get("/literal")), (200, get("/numbers"))]
    + [
        (200, post("/union", json={"kind": "cow"})),
        (422, post("/union", json={"kind": "dog"})),
        (200, post("/union", json={})),
    ]
)
def unions(trace: Trace) -> FastAPI:
    app = FastAPI()
    values: dict[str, Any] = {"cat": Cat(), "cow": {"kind": "cow", "milk": 2}, "dog": {"kind": "dog"}}

    @app.get("/union/{kind}", response_model=Union[Cat, Cow])  # noqa: UP007  the old spelling, on purpose
    async def either(kind: str):
        return values.get(kind, values["cat"])

    @app.get("/discriminated/{kind}")
    async def discriminated(kind: str) -> Annotated[Cat | Cow, Field(discriminator="kind")]:
        return values.get(kind, values["cow"])

    @app.get("/optional/{kind}")
    def optional(kind: str) -> Cat | Cow | None:
        return values.get(kind)

    @app.get("/literal")
    async def literal() -> Literal["a", 1] | None:
        return 1

    @app.get("/numbers")
    async def numbers() -> list[int | float | str | None]:
        return [1, 1.0, "1", None, True]

    @app.post("/union")
    async def create(animal: Annotated[Cat | Cow, Body()]) -> Cat | Cow:
        return animal

    return app


@pydantic.dataclasses.dataclass
class Validated:
    n: int = 1
    tags: list[str] = pydantic.Field(default_factory=list)


@case(
    [
        (200, get("/dataclass")),
        (200, get("/old")),
        (200, get("/old-bare")),
        (200, get("/encoded")),
        (200, post("/dataclass", json={"n": "5"})),
        (422, post("/dataclass", json={"n": "x"})),
    ]
)
def other_encoders(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Old(BaseModel):
        """With the encoders of pydantic 1."""

        model_config = ConfigDict(json_encoders={datetime.date: lambda day: day.strftime("%d.%m.%Y")})
        day: datetime.date = datetime.date(2024, 2, 29)

    @app.get("/dataclass")
    async def dataclass() -> Validated:
        return Validated(2)

    @app.post("/dataclass")
    def create(item: Validated):
        return item

    @app.get("/old")
    async def old() -> Old:
        return Old()

    @app.get("/old-bare")
    async def bare():
        return {"old": Old()}

    @app.get("/encoded")
    async def encoded():
        return JSONResponse(jsonable_encoder({"a": Rich(), "b": [Camel()]}, exclude_none=True))

    return app
