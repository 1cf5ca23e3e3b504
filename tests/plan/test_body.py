"""JSON bodies: read directly or in FastAPI's way, with FastAPI's values and errors."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import Body, Depends, FastAPI, Form, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tests.faces.trace import Trace
from tests.plan.pair import Pair
from turboapi.plan import schema
from turboapi.plan.body import has_long_number

Both = Callable[[Any], Pair]
JSON = {"Content-Type": "application/json"}


class Item(BaseModel):
    name: str
    price: float = 1.0
    tags: list[str] = []


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    amount: float
    flags: tuple[bool, ...] = ()


def reads_directly(pair: Pair) -> bool:
    (plan,) = pair.made.plans
    return "Read" in plan.stages[0].call.__globals__


def app_with(endpoint: Callable[..., Any], **more: Any) -> FastAPI:
    app = FastAPI()
    app.post("/", **more)(endpoint)
    return app


BODIES = [
    b'{"name": "pen"}',
    b'{"name": "pen", "price": 2, "tags": ["a"], "more": 1}',
    b'{"name": "a", "name": "b"}',
    b'{"name": "\\ud83d\\ude00", "price": 1e2}',
    b'{"name": "x", "price": NaN}',
    b'{"name": "x", "price": 1e400}',
    b'{"name": "x", "price": 123456789012345678901234567890}',
    b'{"name": 5}',
    b'{"price": 1}',
    b"[]",
    b"null",
    b"{",
    b"",
    b"\xff",
    b'\xef\xbb\xbf{"name": "bom"}',
    '{"name": "wide"}'.encode("utf-16"),
    b'{"name": "\\ud800"}',
    b'{"name": "\xed\xa0\x80"}',
    b'{"name": "x", "price": ' + b"9" * 400 + b"}",
    b'{"name": "x", "more": ' + b"9" * 5000 + b"}",
    b'{"name": "x", "more": ' + b"[" * 300 + b"]" * 300 + b"}",
    b'{"name": "' + b"9" * 400 + b'"}',
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
@pytest.mark.parametrize("embed", [False, True])
def test_values_and_errors_are_fastapis(both: Both, body: bytes, embed: bool) -> None:
    async def create(item: Annotated[Item, Body(embed=embed)]):
        return repr(item)

    pair = both(app_with(create))
    pair.post("/", JSON, body=b'{"item": %s}' % body if embed else body)


def test_a_plain_model_is_read_directly(both: Both) -> None:
    async def create(item: Item):
        return item

    pair = both(app_with(create))
    assert pair.post("/", json={"name": "pen"}).json() == {"name": "pen", "price": 1.0, "tags": []}
    assert pair.how == "compiled"
    assert reads_directly(pair) is schema.COMPARED
    pair.post("/", json={"name": 1})
    assert pair.how == "declined"


def test_a_strict_model_is_read_in_fastapis_way(both: Both) -> None:
    """Strict JSON is laxer than strict Python: a tuple may come from an array."""

    async def create(item: Strict):
        return repr(item)

    pair = both(app_with(create))
    assert not reads_directly(pair)
    pair.post("/", json={"amount": 1})
    pair.post("/", json={"amount": 1.5, "flags": [True]})
    pair.post("/", json={"amount": "1"})


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("application/json; charset=utf-8", "compiled"),
        ("application/vnd.api+json", "compiled"),
        ("text/plain", "odd"),
        ("application/xml", "odd"),
        ("", "odd"),
    ],
)
def test_other_content_types_are_fastapis_to_decide(both: Both, kind: str, how: str) -> None:
    async def create(item: Item):
        return item

    pair = both(app_with(create))
    pair.post("/", {"Content-Type": kind}, body=b'{"name": "pen"}')
    assert pair.how == how


def test_a_body_without_a_type_is_json_where_the_release_or_the_route_says_so(both: Both) -> None:
    async def create(item: Item):
        return item

    strict = "strict_content_type" in inspect.signature(FastAPI).parameters
    pair = both(app_with(create))
    pair.post("/", body=b'{"name": "pen"}')
    assert pair.how == ("odd" if strict else "compiled")
    if strict:
        loose = FastAPI(strict_content_type=False)
        loose.post("/")(create)
        pair = both(loose)
        pair.post("/", body=b'{"name": "pen"}')
        assert pair.how == "compiled"


def test_several_parameters(both: Both) -> None:
    async def create(
        item: Item, count: Annotated[int, Body(ge=0)], other: Item | None = None, note: Annotated[str, Body()] = "-"
    ):
        return repr([item, count, other, note])

    pair = both(app_with(create))
    pair.post("/", json={"item": {"name": "a"}, "count": 3, "other": {"name": "b"}})
    assert pair.how == "compiled"
    pair.post("/", json={"item": {"name": "a"}, "count": 3, "other": None})
    for wrong in ({}, [], 5, {"item": {}, "count": -1}, {"item": None, "count": None}):
        assert pair.post("/", json=wrong).status == 422
        assert pair.how == "declined"


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, "text", 5, None, True, [{"name": "x"}]])
def test_bodies_that_are_no_models(both: Both, value: Any) -> None:
    app = FastAPI()
    for number, kind in enumerate((list[int], dict[str, int], Any, dict, list[Item], int | None)):

        def create(body):
            return repr(body)

        create.__annotations__["body"] = Annotated[kind, Body()]
        app.post(f"/{number}")(create)
    pair = both(app)
    for number in range(6):
        pair.post(f"/{number}", json=value)


def test_a_dependency_takes_part_of_the_body(both: Both, trace: Trace) -> None:
    def dependency(item: Item) -> str:
        trace("dependency")
        return item.name

    async def create(other: Annotated[int, Body()], name: str = Depends(dependency)):
        trace("create")
        return [name, other]

    pair = both(app_with(create))
    pair.post("/", json={"item": {"name": "a"}, "other": 2})
    assert pair.how == "compiled"
    pair.post("/", json={"item": {"name": "a"}, "other": "x"})
    pair.post("/", json={"item": {}, "other": "x"})


def test_the_same_body_in_endpoint_and_dependency(both: Both) -> None:
    def dependency(item: Item) -> str:
        return item.name

    def create(item: Item, name: str = Depends(dependency)):
        return [name, item.name]

    pair = both(app_with(create))
    pair.post("/", json={"name": "a"})
    assert pair.how == "compiled"


def test_functions_of_the_application_run_once_and_after_the_dependencies(both: Both, trace: Trace) -> None:
    class Noted(BaseModel):
        n: int
        made: int = Field(default_factory=lambda: trace("factory") or 1)

        @field_validator("n")
        @classmethod
        def check(cls, value: int) -> int:
            trace("field", value)
            assert value < 10
            return value

        @model_validator(mode="after")
        def whole(self) -> Any:
            trace("model")
            return self

    def dependency(q: int = 1) -> int:
        trace("dependency")
        return q

    async def create(item: Noted, q: int = Depends(dependency)):
        trace("create")
        return [item, q]

    pair = both(app_with(create))
    assert pair.post("/", json={"n": 5}).status == 200
    assert pair.how == "compiled"
    assert pair.post("/", json={"n": 50}).status == 422
    assert pair.how == "compiled"
    pair.post("/", json={"n": "x"})
    pair.post("/", JSON, body=b"{")
    assert pair.how == "declined"


def test_forms_and_dependencies_with_functions_are_left_to_fastapi(both: Both) -> None:
    class Checked(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def check(cls, value: int) -> int:
            return value + 1

    def dependency(item: Checked) -> int:
        return item.n

    def form_dependency(item: Annotated[Checked, Form()]) -> int:
        return item.n

    app = FastAPI()
    app.post("/dependency")(lambda n=Depends(dependency): n)
    reasons = {"/dependency": "fallback: the body of a dependency is validated by functions of the application"}
    app.post("/form")(lambda n=Depends(form_dependency): n)
    reasons["/form"] = reasons["/dependency"]
    pair = both(app)
    assert {path: pair.outcome(path, "POST") for path in reasons} == reasons
    assert pair.post("/dependency", json={"n": 1}).json() == 2


def test_a_request_beside_a_body_has_it_read_already(both: Both) -> None:
    async def create(item: Item, request: Request):
        first = await request.json()
        return [
            await request.json() is first,
            (await request.body()).decode(),
            [chunk.decode() async for chunk in request.stream()],
        ]

    pair = both(app_with(create))
    assert pair.post("/", json={"name": "n"}).json()[0] is True
    assert pair.how == "compiled"


def test_long_numbers_are_found() -> None:
    assert has_long_number(b"[" + b"9" * 300 + b"]")
    assert has_long_number(b'{"a": -0.' + b"0123456789" * 30 + b"}")
    assert not has_long_number(b"[" + (b"1234567890" * 30)[:299] + b"." + b"9" * 299 + b"]")
    assert not has_long_number(b"[" + b"9, " * 400 + b"]")
    assert not has_long_number(b"x" * 1000)
