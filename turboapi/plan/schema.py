"""What a pydantic core schema says about the validation that will run.

Three questions, each answered "no" for every node type that is not listed:
is it free of the user's functions (`pure`), does reading JSON directly give what
FastAPI's way gives (json.loads, then Python mode; `json_equal`), and which
canonical form may the engine convert itself (`form`).
"""

from __future__ import annotations

import datetime
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic

__all__ = ["COMPARED", "composite", "form", "json_equal", "nodes", "pure", "unwrap"]

Schema = Mapping[str, Any]

# Leaves without any code of the user's.
_LEAVES = frozenset(
    "any none bool int float decimal str bytes date time datetime timedelta literal enum uuid url multi-host-url "
    "missing-sentinel complex definition-ref invalid callable is-instance is-subclass".split()
)
# Nodes whose other schemas stand under these keys.
_INNER: dict[str, tuple[str, ...]] = {
    "list": ("items_schema",),
    "set": ("items_schema",),
    "frozenset": ("items_schema",),
    "tuple": ("items_schema",),
    "dict": ("keys_schema", "values_schema"),
    "nullable": ("schema",),
    "default": ("schema",),
    "union": ("choices",),
    "tagged-union": ("choices",),
    "chain": ("steps",),
    "lax-or-strict": ("lax_schema", "strict_schema"),
    "json-or-python": ("json_schema", "python_schema"),
    "json": ("schema",),
    "model": ("schema",),
    "model-fields": ("fields", "extras_schema", "extras_keys_schema"),
    "model-field": ("schema",),
    "typed-dict": ("fields", "extras_schema"),
    "typed-dict-field": ("schema",),
    "dataclass": ("schema",),
    "dataclass-args": ("fields",),
    "dataclass-field": ("schema",),
    "definitions": ("schema", "definitions"),
    "function-before": ("schema",),
    "function-after": ("schema",),
    "function-wrap": ("schema",),
    "function-plain": (),
}
# Functions of these packages do nothing that a request could see twice.
_QUIET_PACKAGES = frozenset(
    {"pydantic", "pydantic_core", "pydantic_extra_types", "email_validator", "ipaddress", "pathlib", "fastapi"}
)
_QUIET_FACTORIES: tuple[Any, ...] = (
    list,
    dict,
    set,
    tuple,
    frozenset,
    str,
    int,
    float,
    bool,
    uuid.uuid4,
    datetime.datetime.now,
    datetime.datetime.utcnow,
    datetime.date.today,
    time.time,
)

# Releases of pydantic for which both have been compared. Before 2.11 the first of equal keys could win.
COMPARED = pydantic.VERSION.split(".")[0] == "2" and 11 <= int(pydantic.VERSION.split(".")[1]) <= 14
# Nodes for which pydantic's JSON mode and Python mode give equal values for everything that
# json.loads can make (tests/plan/test_schema.py compares them with random documents).
_JSON_NODES = frozenset(
    "any none bool int float str date time datetime timedelta uuid literal list dict nullable default "
    "model model-fields model-field typed-dict typed-dict-field definitions definition-ref".split()
)


def unwrap(schema: Schema) -> Schema:
    """Return the schema below defaults and Optional."""
    while schema.get("type") in ("default", "nullable"):
        schema = schema["schema"]
    return schema


def form(schema: Schema) -> str | None:
    """Return "int", "float", "bool" or "str" where the canonical text of that form is the whole validation."""
    inner = unwrap(schema)
    kind = inner.get("type")
    if kind not in ("int", "float", "bool", "str"):
        return None
    rest = inner.keys() - {"type", "metadata", "ref", "serialization"}
    return None if rest else str(kind)


def composite(schema: Schema) -> bool:
    """Tell whether a parameter with this schema can be made of several values of the request."""
    return any(
        node.get("type") in ("model", "dataclass", "typed-dict", "json", "json-or-python") for node in nodes(schema)
    )


def pure(schema: Schema | None) -> bool:
    """Tell whether validation runs no code of the user's, so that doing it twice or early shows nowhere."""
    return schema is not None and all(_quiet(node) for node in nodes(schema))


def json_equal(schema: Schema | None) -> bool:
    """Tell whether reading the JSON text directly gives what json.loads and Python mode give."""
    return schema is not None and COMPARED and all(_plain_json(node) for node in nodes(schema))


def nodes(schema: Schema) -> Iterator[Schema]:
    """Yield a schema and all schemas in it."""
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        yield node
        for key in _INNER.get(node.get("type", ""), ()):
            inner = node.get(key)
            if isinstance(inner, Mapping) and "type" in inner and isinstance(inner["type"], str):
                waiting.append(inner)
            elif isinstance(inner, Mapping):
                waiting.extend(inner.values())
            elif isinstance(inner, (list, tuple)):
                waiting.extend(item[0] if isinstance(item, tuple) else item for item in inner)


def _quiet(node: Schema) -> bool:
    kind = node.get("type", "")
    if kind not in _LEAVES and kind not in _INNER:
        return False
    if kind.startswith("function-"):
        return _quiet_function(node["function"].get("function"))
    if kind == "default":
        factory = node.get("default_factory")
        return factory is None or (not node.get("default_factory_takes_data") and factory in _QUIET_FACTORIES)
    if kind == "tagged-union":
        return not callable(node.get("discriminator"))
    if kind == "enum":
        return node.get("missing") is None
    if kind in ("model", "dataclass"):
        return not node.get("custom_init") and not node.get("post_init")
    return True


def _quiet_function(function: Any) -> bool:
    function = getattr(function, "__func__", function)
    module = getattr(function, "__module__", None) or ""
    return module.partition(".")[0] in _QUIET_PACKAGES


def _plain_json(node: Schema) -> bool:
    kind = node.get("type", "")
    if kind not in _JSON_NODES or not _quiet(node) or node.get("strict"):
        return False
    if kind == "literal":
        return all(type(value) is str for value in node["expected"])
    if kind == "dict":
        # A repeated key counts twice for JSON mode's limits.
        return "min_length" not in node and "max_length" not in node and _plain_key(node.get("keys_schema"))
    if kind == "default":
        return not node.get("validate_default")
    config = node.get("config") or {}
    return not (config.keys() & {"strict", "coerce_numbers_to_str", "val_json_bytes", "cache_strings"})


def _plain_key(schema: Schema | None) -> bool:
    return schema is None or (schema.get("type") == "str" and form(schema) is not None)
