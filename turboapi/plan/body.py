"""JSON bodies: how the text becomes the values of body parameters.

Where the schema makes reading the text directly equal to FastAPI's way,
pydantic reads it. Otherwise json.loads and Python mode do, as in FastAPI. Where
the schema runs functions of the user's, FastAPI's own function does it, once,
at the moment at which FastAPI would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from . import internals, schema
from .draft import Draft
from .facts import Node, Param
from .form import FormBody, form_of
from .plans import Fallback

__all__ = ["Body", "body_of", "has_long_number"]

# A number with fewer digits fits into a float; and json.loads refuses integers of more than 4300.
_LONG = 300
# All digits alike: to find a run of them is a search for bytes then, many times faster than a regular expression's.
_ALIKE = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * _LONG


def has_long_number(body: bytes) -> bool:
    """Tell whether a document has a number that JSON mode and json.loads may understand differently."""
    return _LONG_NUMBER in body.translate(_ALIKE)


def body_of(draft: Draft) -> Body | FormBody | Fallback:
    """Return how a route's body is read."""
    tree = draft.handler.tree
    nodes = list(_with_body(tree))
    params = [param for node in nodes for param in node.body]
    if not all(_quiet(param) for node in nodes if node is not tree for param in node.body):
        return Fallback("the body of a dependency is validated by functions of the application")
    if draft.handler.form:
        return form_of(draft, nodes, _quiet)
    if any(internals.is_form(param) for param in params):
        return Fallback("form parameters beside a JSON body")
    direct = (
        not draft.handler.embed
        and not draft.shown
        and all(_quiet(param) and schema.json_equal(param.schema) for param in params)
    )
    draft.parses = not direct
    return Body(draft, direct=direct)


def _quiet(param: Param) -> bool:
    return schema.pure(param.schema) and not param.factory


def _with_body(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield from _with_body(child)
    if node.body:
        yield node


class Body:
    """Adds the text that reads one route's body."""

    def __init__(self, draft: Draft, *, direct: bool) -> None:
        self._draft = draft
        self._direct = direct

    def prologue(self) -> None:
        """Put before all other checks what the body's readers start from."""
        draft = self._draft
        raw = draft.given("body")
        if self._direct:
            many = draft.source.bind(has_long_number, "has_long_number")
            lines = [f"if len({raw}) > {_LONG} and {many}({raw}):", f"    {draft.refuse()}"]
        else:
            # Too deep, not UTF-8, a number of too many digits: FastAPI has an answer to each.
            lines = [f"parsed = {draft.source.bind(json.loads, 'loads')}({raw})"]
            if "request" in draft.special:
                lines.append("request._json = parsed")
        draft.checks[:0] = lines

    def add(self, node: Node, values: dict[str, str]) -> None:
        """Add the reading of one node's body parameters to the checks or, with the user's functions, later."""
        draft = self._draft
        bind = draft.source.bind
        embed = draft.handler.embed
        quiet = all(_quiet(param) for param in node.body)
        if quiet and not embed and len(node.body) == 1:
            (param,) = node.body
            validator = param.adapter.validator
            if self._direct:
                text = f"{bind(validator.validate_json, 'read')}(body)"
            else:
                text = f"{bind(validator.validate_python, 'check')}(parsed, from_attributes=True)"
            out = draft.source.local("b")
            # A null body means "missing" to some releases of FastAPI.
            draft.checks += [f"{out} = {text}", f"if {out} is None:", f"    {draft.refuse()}"]
            values[param.name] = out
            return
        fields = bind([param.field for param in node.body], "fields")
        call = f"{bind(internals.body_to_args, 'body_to_args')}({fields}, parsed, {embed})"
        out = draft.source.local("b")
        if quiet:
            draft.checks += [f"{out}, errors = {call}", "if errors:", f"    {draft.refuse()}"]
        else:
            draft.late += [f"{out}, found = {call}", "errors += found"]
        for param in node.body:
            values[param.name] = f"{out}[{param.name!r}]"
