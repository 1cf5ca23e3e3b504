"""Parameters of less common types, names and defaults."""

import collections
import dataclasses
import datetime
import enum
import ipaddress
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType

from fastapi import Cookie, Depends, FastAPI, Header, Path, Query
from pydantic import (
    AfterValidator,
    AnyUrl,
    BaseModel,
    BeforeValidator,
    EmailStr,
    Field,
    Json,
    PositiveInt,
    SecretStr,
    StrictBool,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from ..case import case
from ..request import get
from ..trace import Trace
from .show import seen

UserId = NewType("UserId", int)


GOOD = ["bytes?v=a%20b", "bytes?v=%C3%A9", "email?v=a@b.test.org", "url?v=https://a.test/b", "ip?v=1.2.3.4", "ip?v=::1"]
GOOD += ["positive?v=1", "secret?v=x", "new?v=5", "decimal?v=1.25", "time?v=12:00", "moment?v=2024-01-01T00:00:00Z"]
GOOD += ["upper?v=%20abc%20", "none", "any?v=1", "moment?v=1700000000"]
BAD = ["email?v=a", "url?v=nothing", "ip?v=1.2.3", "json?v={", "positive?v=0", "decimal?v=1.255", "decimal?v=Infinity"]
BAD += ["new?v=x", "strict?v=true", "upper?v=a"]
EITHER = ["bytes?v=%ff", "json?v=%5B1,2%5D"]


@case(
    [(200, get(f"/{target}")) for target in GOOD]
    + [(422, get(f"/{target}")) for target in BAD]
    + [({200, 422}, get(f"/{target}")) for target in EITHER]
)
def rich_types(trace: Trace) -> FastAPI:
    app = FastAPI()
    kinds: dict[str, Any] = {
        "bytes": bytes,
        "email": EmailStr,
        "url": AnyUrl,
        "ip": ipaddress.IPv4Address | ipaddress.IPv6Address,
        "json": Json[list[int]],
        "positive": PositiveInt,
        "secret": SecretStr,
        "new": UserId,
        "decimal": Annotated[Decimal, Field(max_digits=3, decimal_places=2)],
        "time": datetime.time,
        "moment": datetime.datetime,
        "strict": StrictBool,
        "upper": Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, min_length=2)],
        "any": Any,
    }

    def make(kind: Any):
        async def read(v: Annotated[kind, Query()]):
            trace("read", repr(v))
            return seen(v=v)

        return read

    for name, kind in kinds.items():
        app.get(f"/{name}")(make(kind))

    @app.get("/none")
    async def none(v: None = None):
        return seen(v=v)

    return app


@case(
    [
        (200, get(f"/{name}?v=1&v=2&v=1"))
        for name in ("list", "set", "frozenset", "tuple", "sequence", "deque", "union", "scalar")
    ]
    + [
        ({200, 422}, get(f"/{name}"))
        for name in ("list", "set", "frozenset", "tuple", "sequence", "deque", "union", "scalar")
    ]
    + [
        ({200, 422}, get(f"/{name}?v=x&v="))
        for name in ("list", "set", "frozenset", "tuple", "sequence", "deque", "union")
    ]
    + [(200, get("/headers", [("X-V", "1"), ("x-v", "2"), ("X-V", "1")])), (200, get("/headers"))]
)
def collections_of_values(trace: Trace) -> FastAPI:
    app = FastAPI()
    kinds: dict[str, Any] = {
        "list": list[int],
        "set": set[int],
        "frozenset": frozenset[str],
        "tuple": tuple[int, ...],
        "sequence": Sequence[float],
        "deque": collections.deque[int],
        "union": list[int] | None,
        "scalar": int | None,
    }

    def make(kind: Any):
        def read(v: Annotated[kind, Query()] = None):
            return {"type": type(v).__name__, "v": sorted(v, key=str) if isinstance(v, set | frozenset) else v}

        return read

    for name, kind in kinds.items():
        app.get(f"/{name}")(make(kind))

    @app.get("/headers")
    async def headers(x_v: Annotated[set[int] | None, Header()] = None):
        return sorted(x_v or ())

    return app


@case(
    [
        (200, get("/?a-b=1&a.b=2&a%20b=3&%C3%A9=4&class=5&A=6&a=7&_x=8&a%5B%5D=9&q%2Br=0")),
        (422, get("/?a-b=x&a.b=x&a%20b=x&%C3%A9=x&A=x")),
        (422, get("/")),
        (200, get("/?a-b=1&a.b=2&a+b=3&%c3%a9=4&class=5&A=6&a=7&_x=8&a[]=9&q%2br=0")),
        (200, get("/h", {"X-A.B": "1", "x_under_score": "2", "X-UNDER-SCORE": "3", "Class": "4"})),
        (422, get("/h", {"X-A.B": "x", "Class": "x"})),
        (200, get("/c", {"Cookie": "a-b=1; A=2; a=3; __Host-x=4"})),
        (422, get("/c", {"Cookie": "a-b=x"})),
        (200, get("/same/1?id=2", {"Id": "3", "Cookie": "id=4"})),
        (422, get("/same/x?id=x", {"Id": "x", "Cookie": "id=x"})),
    ]
)
def names(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def query(
        a: Annotated[int, Query(alias="a-b")],
        b: Annotated[int, Query(alias="a.b")],
        c: Annotated[int, Query(alias="a b")],
        d: Annotated[int, Query(alias="\u00e9")],
        e: Annotated[int, Query(alias="class")],
        f: Annotated[int, Query(alias="A")],
        g: Annotated[int, Query(alias="a")],
        _x: int = 0,
        h: Annotated[int, Query(alias="a[]")] = 0,
        i: Annotated[int, Query(alias="q+r")] = 1,
    ):
        return [a, b, c, d, e, f, g, _x, h, i]

    @app.get("/h")
    async def header(
        a: Annotated[int, Header(alias="X-A.B")],
        class_: Annotated[int, Header(alias="Class")],
        x_under_score: Annotated[int, Header()] = 0,
        raw: Annotated[str, Header(alias="x_under_score")] = "",
    ):
        return [a, class_, x_under_score, raw]

    @app.get("/c")
    def cookie(
        a: Annotated[int, Cookie(alias="a-b")],
        b: Annotated[int, Cookie(alias="A")] = 0,
        c: Annotated[int, Cookie(alias="a")] = 0,
        d: Annotated[int, Cookie(alias="__Host-x")] = 0,
    ):
        return [a, b, c, d]

    @app.get("/same/{id}")
    async def same(
        id: Annotated[int, Path()],  # noqa: A002
        q: Annotated[int, Query(alias="id")],
        h: Annotated[int, Header(alias="id")],
        c: Annotated[int, Cookie(alias="id")],
    ):
        return [id, q, h, c]

    return app


def fails(kind: str):
    def check(value: Any) -> Any:
        if kind == "value":
            raise ValueError("bad", value)
        if kind == "assert":
            raise AssertionError
        if kind == "custom":
            raise PydanticCustomError("odd", "{what} is odd", {"what": value})
        raise TypeError("neither")

    return check


@case(
    [(422, get(f"/{kind}?v=1")) for kind in ("value", "assert", "custom")]
    + [(500, get("/type?v=1")), (422, get("/type?v=x")), (422, get("/before?v=1")), (500, get("/broken?v=1"))]
    + [(422, get("/model?a=2&b=1")), (200, get("/model?a=1&b=2")), (422, get("/model?a=1"))]
)
def failing_validators(trace: Trace) -> FastAPI:
    """The context of an error may hold what is not JSON; what is no validation error goes on as it is."""
    app = FastAPI()

    def make(kind: Any):
        async def read(v: Annotated[int, kind]):
            return v

        return read

    for name in ("value", "assert", "custom", "type"):
        app.get(f"/{name}")(make(AfterValidator(fails(name))))
    app.get("/before")(make(BeforeValidator(fails("value"))))
    app.get("/broken")(make(BeforeValidator(lambda value: 1 // 0)))

    class Ordered(BaseModel):
        a: int
        b: int

        @model_validator(mode="after")
        def in_order(self) -> "Ordered":
            trace("in_order", self.a, self.b)
            if self.a > self.b:
                raise ValueError("a is larger than b")
            return self

    @app.get("/model")
    async def model(o: Annotated[Ordered, Query()]):
        return o

    return app


@case(
    [
        (200, get("/model?name=n&size=2")),
        (422, get("/model?size=x")),
        (200, get("/dataclass?name=n")),
        (422, get("/dataclass?size=x")),
        (200, get("/named?a=1&b=2")),
        (200, get("/default")),
        (200, get("/default?v=7&w=8")),
        (200, get("/enum/2?mode=fast&level=2")),
        (422, get("/enum/9?mode=FAST&level=two")),
        (500, get("/positional/1/2")),
        (200, get("/kwonly?b=2")),
    ]
)
def signatures(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Model(BaseModel):
        name: str
        size: int = Field(3, ge=1)

    @dataclasses.dataclass
    class Data:
        name: str
        size: int = 4

    class Named(collections.namedtuple("Named", "a b")):
        pass

    class Level(enum.IntEnum):
        LOW = 1
        HIGH = 2

    Mode = Literal["fast", "slow"]

    @app.get("/model")
    async def model(m: Annotated[Model, Depends()]):
        return m

    @app.get("/dataclass")
    def data(d: Annotated[Data, Depends()]):
        return d

    @app.get("/named")
    async def named(n: Annotated[Named, Depends(Named)]):
        return list(n)

    @app.get("/default")
    async def default(v: int = Query(5, ge=1), w: int | None = Query(default=None), x: str = "x"):
        return [v, w, x]

    @app.get("/enum/{level}")
    async def enums(level: Level, mode: Mode, again: Annotated[Level, Query(alias="level")]):
        return [level, mode, again]

    @app.get("/positional/{a}/{b}")
    async def positional(b: int, /, a: int):
        return [a, b]

    @app.get("/kwonly")
    def kwonly(*, a: int = 1, b: int):
        return [a, b]

    return app
