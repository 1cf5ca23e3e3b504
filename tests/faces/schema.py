"""Values for a JSON schema: most of them fit, more or less; the others are odd."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

from .odd import ODD_ENCODED, ODD_JSON, ODD_TEXT

T = TypeVar("T")
Schema = dict[str, Any]
Text = st.SearchStrategy[str]

SAMPLES = {
    "date": ["2024-02-29", "1999-12-31"],
    "date-time": ["2024-02-29T12:00:00Z", "2024-02-29T12:00:00.5+02:00", "2024-02-29 12:00"],
    "time": ["12:00:00", "23:59:59.999"],
    "duration": ["P1D", "PT1.5S"],
    "uuid": ["12345678-1234-5678-1234-567812345678", "123e4567e89b12d3a456426614174000"],
    "binary": ["bytes"],
}
DEEPEST = 5


def weighted(*choices: tuple[int, st.SearchStrategy[T]]) -> st.SearchStrategy[T]:
    """One of several strategies, each as often as its weight says."""
    pool = [strategy for weight, strategy in choices for _ in range(weight)]
    return st.integers(0, len(pool) - 1).flatmap(lambda index: pool[index])


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follow $ref."""
    while "$ref" in schema:
        found: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def alternatives(schema: Schema) -> list[Schema]:
    return schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or []


def constants(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def good_text(schema: Schema, root: Schema) -> Text:
    """The text of a scalar that fits."""
    schema = resolve(schema, root)
    if alternatives(schema):
        return st.one_of([good_text(one, root) for one in alternatives(schema)])
    if values := constants(schema):
        return st.sampled_from([value if isinstance(value, str) else json.dumps(value) for value in values])
    match schema.get("type"):
        case "integer":
            low = schema.get("minimum", schema.get("exclusiveMinimum", -5))
            high = schema.get("maximum", schema.get("exclusiveMaximum", low + 100))
            return st.integers(int(low) - 1, max(int(low), int(high)) + 1).map(str)
        case "number":
            return st.floats(-100, 100, width=32).map(repr)
        case "boolean":
            return st.sampled_from(["true", "false", "1", "0"])
        case "array":
            return good_text(schema.get("items", {}), root)
        case "null":
            return st.just("")
    if schema.get("format") in SAMPLES:
        return st.sampled_from(SAMPLES[schema["format"]])
    longest = min(schema.get("maxLength", 12), 12)
    return st.text("abcxyz019 _-", min_size=min(schema.get("minLength", 0), longest), max_size=longest)


def any_text(schema: Schema, root: Schema) -> Text:
    """A scalar that fits, or does not."""
    return weighted((6, good_text(schema, root)), (3, st.sampled_from(ODD_TEXT)), (1, st.text(max_size=8)))


def encoded(text: Text) -> st.SearchStrategy[bytes]:
    """Text as it may stand in a target: encoded as little, as much, or as badly as can be."""
    little, much = text.map(encode_little), text.map(encode_all)
    badly = st.tuples(little, st.sampled_from(ODD_ENCODED), st.sampled_from(["", "a", "1"])).map("".join)
    return weighted((8, little), (1, much), (1, badly)).map(str.encode)


def encode_little(text: str) -> str:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="~!$'()*,:@")


def encode_all(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass")[:800])


def good_json(schema: Schema, root: Schema, depth: int = 0) -> Text:
    """JSON text that fits; what is too deep ends in null."""
    schema = resolve(schema, root)
    if depth > DEEPEST:
        return st.just("null")
    if alternatives(schema):
        return st.one_of([good_json(one, root, depth + 1) for one in alternatives(schema)])
    if values := constants(schema):
        return st.sampled_from([json.dumps(value) for value in values])
    match schema.get("type"):
        case "object":
            return json_object(schema, root, depth)
        case "array":
            items = st.lists(any_json(schema.get("items", {}), root, depth + 1), max_size=4)
            return items.map(lambda found: f"[{','.join(found)}]")
        case "integer" | "number" | "boolean":
            return good_text(schema, root)
        case "null":
            return st.just("null")
        case "string":
            return good_text(schema, root).map(json.dumps)
    return st.sampled_from(ODD_JSON)


def any_json(schema: Schema, root: Schema, depth: int = 0) -> Text:
    """JSON text that fits, or does not, or is none. Parts are odd more seldom than the whole."""
    return weighted((4 + 4 * depth, good_json(schema, root, depth)), (1, st.sampled_from(ODD_JSON)))


def json_object(schema: Schema, root: Schema, depth: int) -> Text:
    """An object with most of its members, sometimes with others or the same again."""
    properties = schema.get("properties", {})
    members = [
        st.tuples(st.just(name), any_json(part, root, depth + 1), st.integers(0, 15))
        for name, part in properties.items()
    ]
    other = st.tuples(st.sampled_from([*properties, "extra", ""]), st.sampled_from(ODD_JSON), st.just(1))
    free = schema.get("additionalProperties")
    if isinstance(free, dict):
        value = any_json(free, root, depth + 1)
        more = st.lists(st.tuples(st.sampled_from(["1", "k", "-5"]), value, st.just(1)), max_size=2)
    else:
        more = weighted((6, st.just([])), (1, st.lists(other, min_size=1, max_size=1)))

    def join(drawn: tuple[Sequence[tuple[str, str, int]], list[tuple[str, str, int]]]) -> str:
        # A member is left out once in sixteen times.
        kept = [f"{json.dumps(name)}: {value}" for part in drawn for name, value, luck in part if luck]
        return "{" + ", ".join(kept) + "}"

    return st.tuples(st.tuples(*members), more).map(join)
