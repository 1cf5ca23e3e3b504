"""Results: which bytes, status and headers they become."""

import datetime
import decimal
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
from fastapi import FastAPI, Response
from fastapi.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from pydantic import BaseModel, ConfigDict, Field, computed_field, field_serializer, field_validator
from starlette.background import BackgroundTask

from tests.faces.trace import Trace
from tests.plan.pair import Pair, own_plans
from turboapi.plan import compile_app

Both = Callable[[Any], Pair]


class Row(BaseModel):
    id: int
    name: str = Field("n", alias="rowName")
    price: float = 1e16
    when: datetime.datetime | None = None

    model_config = ConfigDict(populate_by_name=True)


class Wide(Row):
    secret: str = "s"


class Shown(BaseModel):
    n: int

    @computed_field
    @property
    def double(self) -> int:
        return self.n * 2

    @field_serializer("n")
    def text(self, value: int) -> str:
        return f"<{value}>"


class Kind(Enum):
    A = "a"


@dataclass
class Point:
    x: int
    y: float = math.nan


class Shouting(JSONResponse):
    media_type = "application/shouting+json"

    def render(self, content: Any) -> bytes:
        return super().render(content).upper()


class FromOrm:
    def __init__(self) -> None:
        self.id = 1
        self.rowName = "orm"
        self.price = 2


PLAIN = [
    None,
    1,
    "text",
    "\u00e9\u2028",
    1e16,
    [1.5, True, None],
    {"a": {"b": []}},
    {1: 2, None: 3, 1.5: 4, False: 5},
    {"_sa_state": 1, "a": 2},
    {"s": {3}, "t": (1, 2)},
    decimal.Decimal("1.50"),
    uuid.UUID(int=5),
    datetime.timedelta(seconds=90),
    Kind.A,
    Point(1, 2.5),
    Row(id=1),
    [Row(id=1), Wide(id=2)],
    b"bytes",
    (n for n in range(3)),
]


def app_with(value: Any, **more: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/sync", **more)
    def on_thread():
        return value() if callable(value) else value

    @app.get("/async", **more)
    async def on_loop():
        return value() if callable(value) else value

    return app


def ask(pair: Pair) -> Any:
    pair.get("/async")
    assert pair.how == "compiled"
    reply = pair.get("/sync")
    assert pair.how == "compiled"
    return reply


@pytest.mark.parametrize("value", PLAIN[:-1], ids=range(len(PLAIN) - 1))
def test_without_a_response_model(both: Both, value: Any) -> None:
    pair = both(app_with(value))
    ask(pair)
    assert all(plan.plain for plan in pair.made.plans)


@pytest.mark.parametrize(
    "value", [math.nan, [math.inf], {"a": object()}, "\ud800", {"a": {1, "b"}}, lambda: 1 / 0], ids=range(6)
)
def test_what_cannot_be_said_in_json_is_a_500(both: Both, value: Any) -> None:
    ask(both(app_with(value)))


@pytest.mark.parametrize(
    ("model", "value"),
    [
        (Row, Row(id=1)),
        (Row, Wide(id=1)),
        (Row, {"id": "5", "rowName": "x", "price": math.nan}),
        (Row, FromOrm()),
        (list[Row], [Row(id=1), {"id": 2}, Wide(id=3, when=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))]),
        (dict[str, Row], {"a": Row(id=1)}),
        (Row | None, None),
        (Shown, Shown(n=2)),
        (Shown, {"n": 2}),
        (int, "7"),
        (float, 1e16),
        (Any, {"a": 1e16}),
        (dict[str, Any], {"a": {1, 2}}),
        (list[Any], [decimal.Decimal("1.50"), Kind.A]),
        (Row, {"id": "x"}),
        (Row, None),
        (int, 1.5),
    ],
    ids=range(17),
)
def test_response_models(both: Both, model: Any, value: Any) -> None:
    pair = both(app_with(value, response_model=model))
    ask(pair)
    assert not any(plan.plain for plan in pair.made.plans)


@pytest.mark.parametrize(
    "options",
    [
        {"response_model_include": {"id"}},
        {"response_model_exclude": {"price", "when"}},
        {"response_model_by_alias": False},
        {"response_model_exclude_unset": True},
        {"response_model_exclude_defaults": True},
        {"response_model_exclude_none": True},
        {"response_model_include": {"id", "when"}, "response_model_exclude_none": True, "status_code": 201},
        {"response_class": JSONResponse},
        {"response_class": Shouting, "status_code": 202},
    ],
    ids=str,
)
def test_options_of_response_models(both: Both, options: dict[str, Any]) -> None:
    ask(both(app_with([Row(id=1, price=3), Wide(id=2)], response_model=list[Row], **options)))


def test_validators_of_a_response_model_run_once(both: Both, trace: Trace) -> None:
    class Noted(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def check(cls, value: int) -> int:
            trace("validated", value)
            assert value < 10
            return value

    app = FastAPI()

    @app.get("/{n}", response_model=Noted)
    async def read(n: int):
        return {"n": n}

    pair = both(app)
    assert pair.get("/5").status == 200
    assert pair.get("/50").status == 500
    assert pair.how == "compiled"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 302, 304, 400, 418, 500])
@pytest.mark.parametrize("value", [None, {"a": 1}], ids=["none", "dict"])
def test_status_codes(both: Both, status: int, value: Any) -> None:
    ask(both(app_with(value, status_code=status)))


@pytest.mark.parametrize(
    ("response_class", "value"),
    [
        (HTMLResponse, "<p>\u00e9"),
        (PlainTextResponse, "text"),
        (PlainTextResponse, 5),
        (RedirectResponse, "/elsewhere"),
        (Response, b"raw"),
        (Response, "raw"),
        (Shouting, {"a": 1}),
        (JSONResponse, {"a": 1}),
    ],
    ids=range(8),
)
def test_response_classes(both: Both, response_class: Any, value: Any) -> None:
    ask(both(app_with(value, response_class=response_class)))


def test_a_default_response_class_of_the_application(both: Both) -> None:
    app = FastAPI(default_response_class=Shouting)
    app.get("/sync")(lambda: {"a": 1})
    pair = both(app)
    assert pair.get("/sync").text == '{"A":1}'
    assert pair.how == "compiled"


async def chunks():
    yield b"one"
    yield b"two"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Response(b"x", 201, {"x-a": "1"}),
        lambda: JSONResponse({"a": 1}, headers={"content-length": "7"}),
        lambda: Response(status_code=204),
        lambda: RedirectResponse("/x"),
        lambda: StreamingResponse(chunks(), media_type="text/plain"),
        lambda: StreamingResponse(iter(["a", "b"])),
    ],
    ids=range(6),
)
def test_returned_responses(both: Both, make: Callable[[], Response]) -> None:
    ask(both(app_with(make)))


def test_a_returned_response_with_background_work(both: Both, trace: Trace) -> None:
    ask(both(app_with(lambda: Response(b"x", background=BackgroundTask(trace, "background")))))


def test_results_are_bytes_where_fastapi_sends_json(both: Both) -> None:
    """No response object is made for the common case."""
    app = app_with(Row(id=1), response_model=Row, status_code=201)
    for plan in own_plans(compile_app(app)):
        assert isinstance(plan.encode(Row(id=1)), bytes)
        assert (plan.status, plan.media) == (201, b"application/json")
