"""A route while it is being compiled: arguments, extracted values and lines of text so far."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from starlette.requests import Request

from . import internals
from .facts import Handler, Node, RouteFacts
from .plans import Arg
from .scope import ExitStack, Surroundings
from .source import Source

__all__ = ["Draft", "Step"]


class Step(NamedTuple):
    """One call: its keyword arguments as expressions, and the local name of its result."""

    node: Node
    values: dict[str, str]
    out: str


class Draft:
    """The text of one route, in the order in which it runs: first, early, checks, steps, late, and the endpoint.

    first: leaves to FastAPI what is not this route's, before there is a scope. early: makes what cannot be refused
    (the Request). checks: validates what needs no code of the user's; an exception there means that FastAPI answers.
    late: what the user's own functions validate, right before the endpoint. shown: code of the user's gets the Request.
    form: the limits of a form body. reads: the checks read files, which is not for the loop's thread.
    """

    def __init__(
        self, facts: RouteFacts, handler: Handler, around: Surroundings, source: Source, *, shown: bool
    ) -> None:
        self.facts = facts
        self.handler = handler
        self.around = around
        self.source = source
        self.shown = shown
        self.args: list[Arg] = []
        self.arg_names: list[str] = []
        self.params: list[dict[str, Any]] = []
        self.first: list[str] = []
        self.early: list[str] = []
        self.checks: list[str] = []
        self.late: list[str] = []
        self.steps: list[Step] = []
        self.shared: dict[Any, str] = {}
        self.special: dict[str, str] = {}
        self.parses = False
        self.form: dict[str, Any] | None = None
        self.reads = False

    def slot(self, location: str, wire: str, form: str, *, required: bool, default: Any = None) -> str:
        """Let the engine extract one value; return the argument's name."""
        name = self.source.local("p")
        self.args.append(Arg("slot", len(self.params), None if required else default))
        self.arg_names.append(name)
        self.params.append({"in": location, "name": wire, "form": form, "required": required})
        return name

    def given(self, source: Literal["proxy", "body"]) -> str:
        """Return the argument that is the exchange's proxy, or its body."""
        if source not in self.arg_names:
            self.args.append(Arg(source))
            self.arg_names.append(source)
        return source

    def make(self, name: str, text: str) -> str:
        """Return a local that is made once, before everything else."""
        if name not in self.special:
            self.special[name] = name
            self.early.append(f"{name} = {text}")
        return name

    def where(self) -> str:
        """Return what FastAPI's messages call the route: "POST /root/items/{item_id}"."""
        root = str(self.around.scope.get("root_path", "")).rstrip("/")
        return (
            f"{'/'.join(self.facts.methods or ('*',))} {root}{self.around.mounted or ''}{self.facts.route.path_format}"
        )

    def refuse(self) -> str:
        """Return the text that leaves the request to FastAPI."""
        if self.around.mounted is not None:
            return f"raise {self.source.bind(self.around.unmounted, 'unmounted')}(scope)"
        return f"raise {self.source.bind(self.around.decline, 'decline')}"

    def guard(self) -> None:
        """Leave to FastAPI what a Host route takes that is tried before this one."""
        if self.facts.hosts:
            taken = self.source.bind(internals.host_taken(self.facts.hosts), "host_taken")
            decline = self.source.bind(self.around.decline, "decline")
            self.first = [f'if {taken}({self.given("proxy")}.header(b"host")):', f"    raise {decline}"]

    def request(self) -> str:
        """Return the Request, made once, with the scope that FastAPI would have given it."""
        if "request" in self.special:
            return "request"
        self.special["request"] = "request"
        bind = self.source.bind
        proxy = self.given("proxy")
        lines = [f"scope = {proxy}.scope()", f"scope.update({bind(self.around.entries(self.facts), 'entries')})"]
        if self.around.mounted is not None:
            lines.append('root = scope["app_root_path"] = scope.get("root_path", "")')
            lines.append(f'scope["root_path"] = root + {self.around.mounted!r}')
        lines.append(f'scope["path_params"] = {self._path_params()}')
        if self.shown:
            included = self.facts.included
            if included is not None:
                own = bind(internals.included_scope(included, self.facts.route), "included")
                lines.append(f'scope["fastapi"] = {own}.copy()')
            if self.facts.form_limits:
                limits = f"{bind(dict(self.facts.form_limits), 'limits')}.copy()"
                lines.append(f'scope.setdefault("fastapi", {{}})["form_limits"] = {limits}')
            lines += [f"scope[{name!r}] = {bind(ExitStack, 'ExitStack')}()" for name in internals.exit_stacks()]
        made = f"{bind(Request, 'Request')}(scope, {proxy}.receive, {proxy}.send)"
        lines.append(f"request = {proxy}.request = {made}")
        if self.handler.has_body and not self.handler.form:
            lines += [f"request._body = {self.given('body')}", "request._stream_consumed = True"]
        self.early[:0] = lines
        return "request"

    def limit(self) -> list[str]:
        """Return the text that puts the limit of the body into the scope of a Request that code of the user's gets.

        To be put where nothing declines any more: FastAPI would take it for its own.
        """
        if not self.shown or self.handler.max_body is None:
            return []
        note = self.source.bind(internals.note_limit, "note_limit")
        return [f"{note}(scope, {self.given('proxy')}, {self.handler.max_body})"]

    def _path_params(self) -> str:
        pairs = []
        for name, convertor in self.facts.route.param_convertors.items():
            kind = type(convertor).__name__
            form = {"IntegerConvertor": "int", "FloatConvertor": "float"}.get(kind, "str")
            value = self.slot("path", name, form, required=True)
            if kind == "UUIDConvertor":
                value = f"{self.source.bind(convertor.convert, 'convert')}({value})"
            pairs.append(f"{name!r}: {value}")
        return f"{{{', '.join(pairs)}}}"
