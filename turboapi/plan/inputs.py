"""Where each parameter's value comes from, and the text that makes it.

A parameter is *wired* when one name on the wire and one canonical form say all
about it. The others of their place (path, query, header, cookie) are read by
FastAPI's own function from Starlette's own mappings. Everything here happens
before any code of the user's runs, so whatever FastAPI would refuse makes the
entry decline: FastAPI then answers, with its own errors in its own order.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

from . import internals, schema
from .facts import Location, Node, Param
from .plans import Fallback

__all__ = ["Group", "Wired", "MISSING", "inputs_of"]


class _Missing:
    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


# The value of a slot that was not sent, where the default has to be made anew.
MISSING = _Missing()

_IMMUTABLE = (str, int, float, bool, bytes, complex, type(None))


class Wired(NamedTuple):
    """A parameter that the engine extracts.

    form: as in the route table. required: a request without it is FastAPI's.
    default: for the slot; MISSING where `fresh` is copied for each request.
    check: the value still has to pass the field's validator.
    """

    param: Param
    location: Location
    wire: str
    form: str
    required: bool
    default: Any
    fresh: Any
    check: bool


class Group(NamedTuple):
    """Parameters of one place that FastAPI's own function reads. late: after the dependencies have run."""

    location: Location
    params: tuple[Param, ...]
    late: bool


def inputs_of(node: Node, convertors: Mapping[str, Any], *, root: bool) -> list[Wired | Group] | Fallback:
    """Return the sources of a node's parameters, in FastAPI's order."""
    found: list[Wired | Group] = []
    for location, params in node.params.items():
        if not params:
            continue
        wired = [_wired(param, location, convertors) for param in params]
        known = [each for each in wired if each is not None]
        if len(known) == len(params):
            found.extend(known)
            continue
        quiet = all(schema.pure(param.schema) and not param.factory for param in params)
        if not quiet and not root:
            return Fallback(f"{location} parameters of a dependency are validated by functions of the application")
        if internals.params_know_each_other() and any(p.schema is None or schema.composite(p.schema) for p in params):
            return Fallback(f"{location} parameters depend on the others of the route in this FastAPI")
        found.append(Group(location, params, late=not quiet))
    return found


def _wired(param: Param, location: Location, convertors: Mapping[str, Any]) -> Wired | None:
    core = param.schema
    if core is None or param.factory or not schema.pure(core) or schema.composite(core):
        return None
    answer = internals.probe(param, location)
    if answer is None:
        return None
    names, many, default = answer
    if len(names) != 1:
        return None
    wire = names.pop()
    form = schema.form(core)
    if location == "path" and not _fits(form, convertors.get(wire)):
        return None
    if location == "header":
        wire = wire.lower()
    required = default is ...
    fresh = None
    if not required and not _immutable(default):
        if not _copyable(default):
            return None
        default, fresh = MISSING, default
    if many:
        if location not in ("query", "header"):
            return None
        return Wired(param, location, wire, "strs", required, default, fresh, True)
    return Wired(param, location, wire, form or "str", required, default, fresh, form is None)


def _fits(form: str | None, convertor: Any) -> bool:
    """Tell whether a path parameter that has passed `convertor` is what the engine's form gives."""
    kind = type(convertor).__name__
    if kind in ("StringConvertor", "PathConvertor"):
        return True
    return (kind, form) in (("IntegerConvertor", "int"), ("FloatConvertor", "float"))


def _immutable(value: Any) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return type(value) in (tuple, frozenset) and all(_immutable(item) for item in value)
    # deepcopy gives these back as they are, so sharing them shows nowhere.
    return type(value) in _IMMUTABLE or copy.deepcopy(value) is value


def _copyable(value: Any) -> bool:
    return type(value) in (list, dict, set)
