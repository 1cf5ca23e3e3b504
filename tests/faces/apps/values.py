"""What handlers return without a response model, and how it becomes JSON."""

import collections
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import pathlib
import re
import types
import uuid
from typing import Any

import pydantic
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ..case import case
from ..request import get, head
from ..trace import Trace


class Color(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Size(enum.IntEnum):
    BIG = 3


class Word(enum.StrEnum):
    ON = "on"


class Text(str):
    pass


class Number(int):
    pass


class Model(BaseModel):
    when: datetime.datetime = datetime.datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=datetime.UTC)
    amount: decimal.Decimal = decimal.Decimal("1.10")
    key: uuid.UUID = uuid.UUID(int=5)
    data: bytes = b"data"


@dataclasses.dataclass
class Point:
    x: int
    y: Any = None


class Plain:
    def __init__(self) -> None:
        self.a = 1
        self.b = [Point(1, Color.RED)]
        self._private = 2


class Slotted:
    __slots__ = ("a",)


class Row:
    """As SQLAlchemy's: it carries a member that is left out."""

    def __init__(self) -> None:
        self._sa_instance_state = object()
        self._sa = 1
        self.name = "row"


Named = collections.namedtuple("Named", "a b")
DAY = datetime.date(2024, 2, 29)


def values() -> dict[str, Any]:
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    return {
        "none": None,
        "true": True,
        "int": 5,
        "negative": -5,
        "huge": 10**100,
        "huge-digits": 10**4000,
        "float": 1.5,
        "exponent": 1e300,
        "small": 1e-7,
        "integral": 1e16,
        "negative-zero": -0.0,
        "sum": 0.1 + 0.2,
        "denormal": 5e-324,
        "big-float": 123456789012345680.0,
        "text": "plain",
        "unicode": "caf\u00e9 \u65e5\u672c \U0001f40d",
        "controls": '\x00\x01\x1f\x7f\x80\u2028\u2029"\\/\b\f\n\r\t',
        "empty": "",
        "list": [1, "a", None, [True, {}], []],
        "dict": {"a": 1, "b": {"c": []}, "": 0},
        "tuple": (1, (2, 3)),
        "int-keys": {1: "a", 2: {3: "b"}},
        "float-keys": {1.5: "a", 2.0: "b"},
        "none-keys": {None: 1, True: 2, False: 3},
        "enum-keys": {Color.RED: 1, Word.ON: 2, Size.BIG: 3},
        "sa-keys": {"_sa_instance_state": 1, "_sa": 2, "a_sa": 3, "name": {"_sa_x": 1}},
        "set": {"one"},
        "frozenset": frozenset({3}),
        "generator": (n * n for n in range(4)),
        "deque": collections.deque([1, 2]),
        "datetime": datetime.datetime(2024, 1, 2, 3, 4, 5),
        "aware": datetime.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=datetime.timezone(datetime.timedelta(hours=-3))),
        "date": DAY,
        "time": datetime.time(1, 2, 3),
        "delta": datetime.timedelta(days=1, milliseconds=5),
        "decimal": decimal.Decimal("1.10"),
        "decimal-int": decimal.Decimal(10),
        "decimal-exponent": decimal.Decimal("1E+5"),
        "uuid": uuid.UUID(int=7),
        "bytes": b"abc",
        "path": pathlib.PurePosixPath("/a/b"),
        "address": ipaddress.ip_address("127.0.0.1"),
        "network": ipaddress.ip_network("10.0.0.0/8"),
        "pattern": re.compile("a+"),
        "enum": Color.RED,
        "enum-tuple": Color.PAIR,
        "int-enum": Size.BIG,
        "str-enum": Word.ON,
        "model": Model(),
        "models": [Model(), {"m": Model()}],
        "dataclass": Point(1, Point(2, DAY)),
        "dataclasses": [Point(1), (Point(2),)],
        "plain": Plain(),
        "row": Row(),
        "rows": [Row(), Row()],
        "named": Named(1, "x"),
        "str-subclass": Text("sub"),
        "int-subclass": Number(4),
        "ordered": collections.OrderedDict(b=1, a=2),
        "defaultdict": collections.defaultdict(list, a=[1]),
        "counter": collections.Counter("aab"),
        "namespace": types.SimpleNamespace(a=1, b=DAY),
        "url": pydantic.TypeAdapter(pydantic.AnyUrl).validate_python("https://a.test/b"),
        "secret": pydantic.SecretStr("hidden"),
        "deep": deep,
        "long": "x" * 200_000,
        "many": list(range(20_000)),
    }


def broken() -> dict[str, Any]:
    loop: list[Any] = []
    loop.append(loop)
    return {
        "nan": float("nan"),
        "inf": float("inf"),
        "nested-nan": {"a": [1.0, float("-inf")]},
        "surrogate": "\ud800",
        "surrogate-key": {"\udfff": 1},
        "object": object(),
        "slotted": Slotted(),
        "function": len,
        "class": Plain,
        "bytes": b"\xff",
        "tuple-keys": {(1, 2): 3},
        "bytes-keys": {b"a": 3},
        "complex": 1j,
        "huge-digits": 10**5000,
        "exception": ValueError("x"),
        "module": re,
        "range": range(3),
        "loop": loop,
    }


@case([(200, get(f"/{lane}/{name}")) for lane in ("async", "sync") for name in values()] + [(405, head("/async/int"))])
def returned_values(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/async/{name}")
    async def give(name: str):
        return values().get(name, name)

    @app.get("/sync/{name}")
    def give_sync(name: str):
        return values().get(name, name)

    return app


@case(
    [({200, 500}, get(f"/{lane}/{name}")) for lane in ("async", "sync", "json") for name in broken()],
    steady=False,
)
def returned_nonsense(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/async/{name}")
    async def give(name: str):
        trace("give", ascii(name)[:20])
        return broken().get(name, name)

    @app.get("/sync/{name}")
    def give_sync(name: str):
        return broken().get(name, name)

    @app.get("/json/{name}")
    async def give_json(name: str):
        return JSONResponse(broken().get(name, name))

    return app


ANNOTATED = [
    "float",
    "nan",
    "any",
    "any-nan",
    "dict",
    "list",
    "datetime",
    "bytes",
    "decimal",
    "model",
    "text",
    "surrogate",
    "deep-any",
]


@case([({200, 500}, get(f"/{name}")) for name in ANNOTATED])
def returned_through_annotations(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Floats(BaseModel):
        a: float = float("inf")
        b: list[float] = [1e300, 1e-7, 1e16, -0.0, 5e-324, float("nan")]
        c: int = 10**30

    answers: dict[str, tuple[Any, Any]] = {
        "float": (float, 1e22),
        "nan": (float, float("nan")),
        "any": (Any, {"a": (1, DAY), 5: b"x"}),
        "any-nan": (Any, [float("inf"), float("nan")]),
        "dict": (dict[str, Any], {"_sa_state": 1, "a": Point(1)}),
        "list": (list[float], [1, 2.5, 1e21, 1e-10]),
        "datetime": (datetime.datetime, "2024-01-01T00:00:00Z"),
        "bytes": (bytes, b"caf\xc3\xa9"),
        "decimal": (decimal.Decimal, "1.500"),
        "model": (Floats, Floats()),
        "text": (str, 'caf\u00e9\u2028\x7f"\\/'),
        "surrogate": (str, "\ud800"),
        "deep-any": (Any, {"m": Model(), "l": [Color.RED, {1}]}),
    }

    def make(kind: Any, value: Any):
        async def give() -> kind:
            return value

        return give

    for name, (kind, value) in answers.items():
        app.get(f"/{name}")(make(kind, value))
    return app


@case([(200, get(f"/{name}")) for name in ("async", "sync", "response", "nothing", "lambda", "partial", "method")])
def handlers_of_every_kind(trace: Trace) -> FastAPI:
    import functools

    app = FastAPI()

    class Service:
        async def method(self):
            return "method"

        def __call__(self, n: int = 3):
            return n

    @app.get("/async")
    async def coroutine():
        return "async"

    @app.get("/sync")
    def function():
        return "sync"

    @app.get("/response")
    async def response() -> Response:
        return Response("r")

    @app.get("/nothing")
    async def nothing():
        pass

    async def of_two(a: int, b: int = 2):
        return [a, b]

    def decorated(function: Any):
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any):
            trace("wrapped")
            return await function(*args, **kwargs)

        return wrapper

    app.get("/lambda", name="lambda")(lambda: "lambda")
    app.get("/partial", name="partial")(functools.partial(of_two, 1))
    app.get("/method")(decorated(Service().method))
    return app
