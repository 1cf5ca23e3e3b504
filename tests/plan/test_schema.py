"""What schemas say: whether functions of the application run, and whether JSON may be read directly."""

import datetime
import json
import math
import random
import uuid
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    EmailStr,
    Field,
    Json,
    PrivateAttr,
    Tag,
    TypeAdapter,
    ValidationError,
)
from typing_extensions import TypedDict

from turboapi.plan import schema
from turboapi.plan.body import has_long_number


class Inner(BaseModel):
    a: int
    b: float = 1.0
    c: str | None = None


class Outer(BaseModel):
    x: Inner
    y: list[Inner] = []
    z: dict[str, float] = {}
    w: Any = None


class Allowing(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 0


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    a: int = Field(0, alias="A")
    b: str = Field("", validation_alias="B")


class Limited(BaseModel):
    i: Annotated[int, Field(ge=-5, le=100)] = 1
    f: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1
    s: Annotated[str, Field(min_length=2, max_length=5, pattern="^[a-z]*$")] = "ab"
    l: Annotated[list[int], Field(min_length=1, max_length=3)] = [1]  # noqa: E741


class Tree(BaseModel):
    v: int = 0
    kids: list["Tree"] = []


class Loose(TypedDict, total=False):
    a: int
    b: str


class Inited(BaseModel):
    a: int

    def __init__(self, **data: Any) -> None:
        super().__init__(**data)


class Private(BaseModel):
    a: int
    _b: int = PrivateAttr(1)


def choose(value: Any) -> str:
    return "a"


DIRECT: list[Any] = [
    *(int, float, str, bool, Any, list[int], list[float], list[bool], dict[str, Any], dict[str, float], int | None),
    *(Inner, Outer, Allowing, Aliased, Limited, Tree, Loose, list[Any], Literal["a", "b"]),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta, uuid.UUID, list[datetime.timedelta]),
]
NUMBERS = """
    0 -0 1 5 101 1.0 1.5 -0.0 1e2 1E-2 1e400 -1e400 1e308 5e-324 2e-324 9223372036854775808 -9223372036854775809
    1.7976931348623159e308 0.30000000000000004 9007199254740993 1e16 NaN Infinity -Infinity 01 1. .5 1_0 3600
    1700000000.5 253402300800 -1e10 59.9999999 123456789012345678901234567890
""".split()
TEXTS = """
    "" "a" "ab" "abc" " 1 " "1.5" "1e2" "true" "no" "\\u00e9" "\\ud83d\\ude00" "\\ud800" "a\\u0000b" "2020-01-01"
    "2020-01-01T10:00:00Z" "10:00:00.5Z" "PT1H" "12345678-1234-5678-1234-567812345678" "Infinity" "1_000" "\u0663"
""".split()
KEYS = [f'"{key}"' for key in ("a", "b", "x", "y", "z", "w", "A", "B", "v", "kids", "i", "f", "s", "l", "\\u0061")]


def document(rnd: random.Random, depth: int = 0) -> str:
    kind = rnd.random()
    if depth > 3 or kind < 0.4:
        return rnd.choice(NUMBERS)
    if kind < 0.6:
        return rnd.choice(TEXTS)
    if kind < 0.7:
        return rnd.choice(["true", "false", "null"])
    if kind < 0.82:
        return f"[{','.join(document(rnd, depth + 1) for _ in range(rnd.randint(0, 3)))}]"
    pairs = (f"{rnd.choice(KEYS)}: {document(rnd, depth + 1)}" for _ in range(rnd.randint(0, 5)))
    return f"{{{','.join(pairs)}}}"


def shown(value: Any) -> Any:
    """A value with all that == would not see: types, signs, order of keys, fields that were set."""
    if isinstance(value, BaseModel):
        return (type(value), shown(value.__dict__), value.model_fields_set, shown(value.__pydantic_extra__))
    if isinstance(value, dict):
        return [(key, shown(each)) for key, each in value.items()]
    if isinstance(value, list):
        return [shown(each) for each in value]
    if isinstance(value, float):
        return ("float", str(value), math.copysign(1, value))
    return (type(value), repr(value))


@pytest.mark.skipif(not schema.COMPARED, reason="this pydantic always reads in FastAPI's way")
@pytest.mark.parametrize("annotation", DIRECT, ids=str)
def test_reading_directly_gives_what_fastapis_way_gives(annotation: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    assert schema.json_equal(adapter.core_schema)
    rnd = random.Random(str(annotation))
    for _ in range(400):
        text = document(rnd).encode()
        if has_long_number(text):
            continue
        try:
            found = adapter.validator.validate_json(text)
        except ValidationError:
            continue  # FastAPI decides
        assert shown(found) == shown(adapter.validator.validate_python(json.loads(text), from_attributes=True)), text


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[float, Field(strict=True)],
        tuple[int, ...],
        set[int],
        bytes,
        int | str,
        Literal[1, "a"],
        Annotated[dict[str, int], Field(max_length=2)],
        dict[int, int],
        Json[int],
        Annotated[int, AfterValidator(lambda value: value)],
    ],
    ids=range(10),
)
def test_what_is_not_known_to_be_equal_is_not_read_directly(annotation: Any) -> None:
    assert not schema.json_equal(TypeAdapter(annotation).core_schema)


@pytest.mark.parametrize(
    "annotation", [*DIRECT, EmailStr, tuple[int, ...], Annotated[Inner, Field(default_factory=dict)]], ids=str
)
def test_schemas_without_functions_of_the_application_are_pure(annotation: Any) -> None:
    assert schema.pure(TypeAdapter(annotation).core_schema)


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[int, BeforeValidator(int)],
        list[Annotated[int, AfterValidator(lambda value: value)]],
        Inited,
        Annotated[Annotated[int, Tag("a")] | Annotated[str, Tag("b")], Discriminator(choose)],
        Annotated[int, Field(default_factory=lambda: 1)],
    ],
    ids=range(5),
)
def test_schemas_with_functions_of_the_application_are_not(annotation: Any) -> None:
    assert not schema.pure(TypeAdapter(annotation).core_schema)


def test_nothing_is_known_of_a_schema_that_was_not_built() -> None:
    assert not schema.pure(None)
    assert not schema.json_equal(None)
    assert not schema.pure({"type": "from-the-future"})


@pytest.mark.parametrize(
    ("annotation", "form"),
    [
        (int, "int"),
        (float | None, "float"),
        (Annotated[bool, Field(True)], "bool"),
        (str, "str"),
        (Annotated[int, Field(ge=1)], None),
        (Annotated[str, Field(max_length=3)], None),
        (list[int], None),
        (int | str, None),
    ],
    ids=str,
)
def test_forms_that_the_engine_converts(annotation: Any, form: str | None) -> None:
    assert schema.form(TypeAdapter(annotation).core_schema) == form
