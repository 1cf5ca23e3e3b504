"""Query parameters: scalars, optional, defaults, lists, aliases, parameter models."""

import datetime
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ..case import case
from ..request import get
from ..trace import Trace
from .show import seen

SCALARS = ["i=1&f=1.5&b=true&s=x", "i=1", "", "i=&f=&b=&s=", "i=x&f=x&b=x", "i=1&i=2", "i=1&i=x", "i=x&i=1"]
SCALARS += ["i=%31&s=%C3%A9", "i=1&s=%ff", "i=1&s=a+b%2B", "i=1&s=%", "i=1&s=%zz%4", "i=+1", "i=%2B1", "i=1&s"]
SCALARS += ["i=1&&s=x", "&i=1", "i=1;s=2", "i==1", "i=1&s==", "I=1", "i=1&b=on&f=inf", "i=1&f=1e400", "i=1&f=nan"]
SCALARS += ["i=01", "i=-0", "i=1_0", "i=%D9%A1", "i=" + "9" * 400, "i=1&s=" + "x" * 6000, "i=1&s=%00", "i=1&=3", "?i=1"]
SCALARS += ["i=1&s=%ED%A0%80", "i=1&%73=enc", "i=1&s=a#b".replace("#", "%23"), "i=1&f=1.50", "i=1&f=-0.0", "i=1&f=5."]


@case([({200, 422}, get(f"/?{query}")) for query in SCALARS] + [(422, get("/"))])
def query_scalars(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def read(i: int, f: float = 0.5, b: bool = False, s: str = "none"):
        trace("read", i, f, b)
        return seen(i=i, f=f, b=b, s=s)

    return app


@case(
    [
        (200, get("/")),
        (200, get("/?q=")),
        ({200, 422}, get("/?q=x&n=")),
        ({200, 422}, get("/?n=")),
        (422, get("/?n=x")),
        (422, get("/?n=null")),
        (200, get("/?flag=1&n=3")),
        (200, get("/u?v=1")),
        (200, get("/u?v=one")),
        (200, get("/u?v=1.5")),
        (200, get("/u")),
        (200, get("/a?x=1&x=2")),
        (200, get("/a")),
    ]
)
def query_optional(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def read(q: str | None = None, n: int | None = None, flag: bool | None = None):
        return seen(q=q, n=n, flag=flag)

    @app.get("/u")
    async def union(v: int | float | str = 0):  # noqa: PYI041  pydantic tells them apart
        return seen(v=v)

    @app.get("/a")
    async def untyped(x=None):
        return seen(x=x)

    return app


@case(
    [
        (200, get("/?t=a&t=b")),
        (200, get("/?t=a")),
        (200, get("/?t=")),
        (200, get("/")),
        (200, get("/?n=1&n=2&n=3")),
        (422, get("/?n=1&n=x&n=&n=y")),
        (422, get("/required")),
        (200, get("/required?n=1")),
        (200, get("/set?n=1&n=1&n=2")),
        (200, get("/tuple?n=1&n=x")),
        (422, get("/tuple?n=1")),
        (200, get("/enum?c=red&c=blue")),
        (422, get("/enum?c=red&c=purple")),
        (422, get("/bounded?n=1")),
        (422, get("/bounded?n=1&n=2&n=3&n=4")),
        (422, get("/bounded?n=1&n=200")),
        (200, get("/bounded?n=1&n=2")),
        (200, get("/optional")),
        (200, get("/optional?n=5")),
    ]
)
def query_lists(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Color(enum.Enum):
        RED = "red"
        BLUE = "blue"

    @app.get("/")
    async def read(t: Annotated[list[str], Query()] = [], n: Annotated[list[int], Query()] = [7]):  # noqa: B006
        t.append("seen")
        return seen(t=t, n=n)

    @app.get("/required")
    async def required(n: Annotated[list[int], Query()]):
        return seen(n=n)

    @app.get("/set")
    async def sets(n: Annotated[set[int], Query()]):
        return seen(n=sorted(n))

    @app.get("/tuple")
    async def tuples(n: Annotated[tuple[int, str], Query()]):
        return seen(n=n)

    @app.get("/enum")
    def enums(c: Annotated[list[Color], Query()]):
        return seen(c=c)

    @app.get("/bounded")
    async def bounded(n: Annotated[list[Annotated[int, Field(lt=100)]], Query(min_length=2, max_length=3)]):
        return seen(n=n)

    @app.get("/optional")
    async def optional(n: Annotated[list[float] | None, Query()] = None):
        return seen(n=n)

    return app


@case(
    [
        (200, get("/?item-query=x&n=5&s=abc")),
        (422, get("/?item_query=x")),
        (422, get("/?item-query=x&n=0")),
        (422, get("/?item-query=x&n=11")),
        (422, get("/?item-query=x&s=ab")),
        (422, get("/?item-query=x&s=abcdef")),
        (422, get("/?item-query=x&s=12a")),
        (422, get("/?item-query=x&f=0.3")),
        (200, get("/?item-query=x&f=0.5")),
        ({200, 422}, get("/validation?v=1")),
        ({200, 422}, get("/validation?a=1")),
        (200, get("/default?x=1")),
        (200, get("/default")),
        (200, get("/default?x=2")),
        (200, get("/hidden?secret=1&old=2")),
    ]
)
def query_constrained_and_aliased(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def read(
        item: Annotated[str, Query(alias="item-query", description="what", deprecated=True)],
        n: Annotated[int, Query(ge=1, le=10)] = 1,
        s: Annotated[str | None, Query(min_length=3, max_length=5, pattern="^[a-z]*$")] = None,
        f: Annotated[float, Query(multiple_of=0.25)] = 1.0,
    ):
        return seen(item=item, n=n, s=s, f=f)

    @app.get("/validation")
    async def validation(a: Annotated[int, Query(validation_alias="v")]):
        return seen(a=a)

    @app.get("/default")
    def default(x: Annotated[int, Query()] = 9, made: Annotated[list[int], Query(default_factory=lambda: [1])] = ...):
        made.append(2)
        return seen(x=x, made=made)

    @app.get("/hidden")
    async def hidden(secret: Annotated[str, Query(include_in_schema=False)], old: int = 0):
        return seen(secret=secret, old=old)

    return app


@case(
    [
        (200, get("/?c=red&n=1&f=on&d=2024-01-01&k=12345678-1234-5678-1234-567812345678&m=1.10")),
        (422, get("/?c=RED&n=1")),
        (422, get("/?c=red&n=3")),
        (422, get("/?c=red&n=one")),
        (422, get("/?c=&n=")),
        (422, get("/?c=red&n=1&f=maybe&d=x&k=y&m=z")),
        (200, get("/str?c=small")),
        (422, get("/str?c=SMALL")),
        (200, get("/int?c=10")),
        (422, get("/int?c=010x")),
        ({200, 422}, get("/int?c=%2010")),
        (422, get("/int?c=11")),
    ]
)
def enums(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Color(enum.Enum):
        RED = "red"
        GREEN = "green"

    class Size(enum.StrEnum):
        SMALL = "small"

    class Weight(enum.IntEnum):
        LIGHT = 10

    @app.get("/")
    async def read(
        c: Color,
        n: Literal[1, 2, "1"],
        f: Literal["on", "off"] = "off",
        d: datetime.date | None = None,
        k: uuid.UUID | None = None,
        m: Decimal = Decimal("0.5"),
    ):
        return seen(c=c, n=n, f=f, d=d, k=k, m=m)

    @app.get("/str")
    async def strings(c: Size):
        return {"c": c, **seen(was=c)}

    @app.get("/int")
    def integers(c: Weight):
        return {"c": c, **seen(was=c)}

    return app


@case(
    [
        (200, get("/?limit=5&tags=a&tags=b")),
        (200, get("/")),
        (422, get("/?limit=500&offset=-1&order_by=nothing")),
        (200, get("/?unknown=1")),
        (422, get("/strict?unknown=1&limit=3")),
        (422, get("/strict?unknown=1&unknown=2")),
        (200, get("/strict?limit=3")),
        (200, get("/extra?limit=3&more=1&other=2&other=3")),
        (200, get("/alias?pageSize=4")),
        ({200, 422}, get("/alias?pageSize=x")),
        (200, get("/alias?page_size=4")),
    ]
)
def query_model(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Filter(BaseModel):
        limit: int = Field(100, gt=0, le=100)
        offset: int = Field(0, ge=0)
        order_by: Literal["created", "updated"] = "created"
        tags: list[str] = []

    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")
        limit: int = 1

    class Extra(BaseModel):
        model_config = ConfigDict(extra="allow")
        limit: int = 1

    class Aliased(BaseModel):
        page_size: int = Field(10, alias="pageSize")

    @app.get("/")
    async def read(f: Annotated[Filter, Query()]):
        return {"set": sorted(f.model_fields_set), **seen(f=f)}

    @app.get("/strict")
    async def strict(f: Annotated[Strict, Query()]):
        return f

    @app.get("/extra")
    def extra(f: Annotated[Extra, Query()]):
        return f

    @app.get("/alias")
    async def alias(f: Annotated[Aliased, Query()]):
        return f

    return app


@case(
    [
        (200, get("/?n=5&s=%20x%20")),
        (422, get("/?n=4&s=x")),
        (422, get("/?n=-5&s=x")),
        (200, get("/before?v=a,b")),
        (200, get("/any?v=1&v=2")),
        (422, get("/strict?n=5")),
        (422, get("/strict?n=x")),
    ]
)
def query_validators(trace: Trace) -> FastAPI:
    app = FastAPI()

    def odd(value: int) -> int:
        trace("odd", value)
        if value % 2 == 0:
            raise ValueError("not odd")
        assert value > 0, "not positive"
        return value

    @app.get("/")
    async def read(n: Annotated[int, AfterValidator(odd)], s: Annotated[str, Query(), AfterValidator(str.strip)]):
        return seen(n=n, s=s)

    @app.get("/before")
    async def before(v: Annotated[list[str], BeforeValidator(lambda v: v[0].split(",")), Query()]):
        return seen(v=v)

    @app.get("/any")
    async def anything(v: Any):
        return seen(v=v)

    @app.get("/strict")
    async def strict(n: Annotated[int, Query(strict=True)]):
        return seen(n=n)

    return app
