"""JSON bodies: how the text becomes the values of body parameters.

Where the schema makes reading the text directly equal to FastAPI's way,
pydantic reads it. Otherwise json.loads and Python mode do, as in FastAPI. Where
the schema runs functions of the user's, FastAPI's own function does it, once,
at the moment at which FastAPI would.
"""

from __future__ import annotations

import json
import re

from . import internals, schema
from .facts import Handler, Node, Param
from .plans import Fallback
from .source import Source

__all__ = ["Body", "body_of"]

# A number with fewer digits fits into a float; and json.loads refuses integers of more than 4300.
_LONG = 300
_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % _LONG)


def has_long_number(body: bytes) -> bool:
    """Tell whether a document has a number that JSON mode and json.loads may understand differently."""
    digits = len(body) - len(body.translate(None, b"0123456789"))
    return digits >= _LONG and _LONG_NUMBER.search(body) is not None


def body_of(handler: Handler, source: Source, *, shows_request: bool, decline: type[Exception]) -> Body | Fallback:
    """Return how a route's body is read."""
    nodes = list(_with_body(handler.tree))
    params = [param for node in nodes for param in node.body]
    if any(internals.is_form(param) for param in params):
        return Fallback("form body")
    quiet = all(schema.pure(param.schema) and not param.factory for param in params)
    if not quiet and any(
        not schema.pure(param.schema) or param.factory
        for node in nodes
        if node is not handler.tree
        for param in node.body
    ):
        return Fallback("the body of a dependency is validated by functions of the application")
    whole = not handler.embed
    direct = (
        whole
        and quiet
        and not shows_request
        and len(params) == 1
        and not params[0].factory
        and schema.json_equal(params[0].schema)
    )
    return Body(embed=handler.embed, direct=direct, decline=decline, source=source, root=handler.tree)


def _with_body(node: Node) -> list[Node]:
    found = [each for child in node.children for each in _with_body(child)]
    return [*found, node] if node.body else found


class Body:
    """Emits the text for one route's body."""

    def __init__(self, *, embed: bool, direct: bool, decline: type[Exception], source: Source, root: Node) -> None:
        self._embed = embed
        self._direct = direct
        self._decline = source.bind(decline, "decline")
        self._root = root
        self.parses = not direct

    def prologue(self, checks: list[str], early: list[str], raw: str, request: str | None) -> None:
        """Put the parsing before everything that was emitted so far."""
        if not self.parses:
            return
        lines = ["try:", f"    parsed = Loads({raw})", "except Exception:", f"    raise {self._decline} from None"]
        if request is not None:
            lines.append(f"{request}._json = parsed")
        early.extend(lines)
        del checks

    def emit(self, node: Node, values: dict[str, str], checks: list[str], late: list[str], source: Source) -> None:
        """Emit the validation of one node's body parameters into `checks` or, for the user's functions, `late`."""
        source.bind(json.loads, "loads")
        if self._direct:
            (param,) = node.body
            read = source.bind(param.adapter.validator.validate_json, "read")
            many = source.bind(has_long_number, "has_long_number")
            checks += [f"if len(body) > {_LONG} and {many}(body):", f"    raise {self._decline}"]
            self._accept(param, f"{read}(body)", values, checks, source)
            return
        fields = source.bind([param.field for param in node.body], "fields")
        call = f"{source.bind(internals.body_to_args, 'body_to_args')}({fields}, parsed, {self._embed})"
        out = source.local("b")
        if all(schema.pure(param.schema) and not param.factory for param in node.body):
            if not self._embed and len(node.body) == 1:
                (param,) = node.body
                check = source.bind(param.adapter.validator.validate_python, "check")
                self._accept(param, f"{check}(parsed, from_attributes=True)", values, checks, source)
                return
            checks += [f"{out}, errors = {call}", "if errors:", f"    raise {self._decline}"]
        else:
            late += [f"{out}, found = {call}", "errors += found"]
        for param in node.body:
            values[param.name] = f'{out}["{param.name}"]'

    def _accept(self, param: Param, text: str, values: dict[str, str], checks: list[str], source: Source) -> None:
        out = source.local("b")
        # A null body means "missing" to some releases of FastAPI.
        checks += [f"{out} = {text}", f"if {out} is None:", f"    raise {self._decline}"]
        values[param.name] = out
