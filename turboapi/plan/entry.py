"""A route's entry point: the order of its calls, and where their arguments come from.

FastAPI solves the dependency tree depth first, each dependency once, then calls
the endpoint. All of that order is known beforehand, so the generated text is a
straight line: validate what needs no code of the user's (and decline where
FastAPI would refuse), call the dependencies, validate what the user's own
functions validate, call the endpoint.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from fastapi.background import BackgroundTasks
from fastapi.security import SecurityScopes

from . import internals
from .afterwards import goes_on
from .body import Body, body_of
from .draft import Draft, Step
from .facts import Handler, Node, RouteFacts
from .form import FormBody
from .inputs import MISSING, Group, Wired, inputs_of
from .plans import Fallback, HotPlan
from .response import encoding, new_response
from .scope import Surroundings
from .source import Source
from .stages import stages, stalls

__all__ = ["Entry", "build", "call_name", "limit_unknown"]

# The engine's own limit (PLAN_MAX_ARGS in gosrc/hot/hot.h).
_MOST_ARGS = 256
_RECEIVED = {"path": "path_params", "query": "query_params", "header": "headers", "cookie": "cookies"}


class Entry(NamedTuple):
    """A compiled route: its plan, what the engine extracts for it, and whether it goes on after its answer (lasts)."""

    plan: HotPlan
    params: tuple[dict[str, Any], ...]
    body: str
    max_body: int | None
    lasts: bool = False
    form: dict[str, Any] | None = None


def build(facts: RouteFacts, handler: Handler, around: Surroundings) -> Entry | Fallback:
    """Compile one route."""
    why = limit_unknown(handler, around) or _unfit(handler.tree)
    if why is not None:
        return Fallback(why)
    # What a mounted application's route raises is told by its Request to be that application's.
    shown = around.mounted is not None or _shows_request(handler.tree)
    draft = Draft(facts, handler, around, Source(facts.title), shown=shown)
    if draft.shown and handler.form and handler.max_body is not None:
        return Fallback("max_body_size with a form and a Request parameter")
    body: Body | FormBody | None = None
    if handler.has_body:
        found = body_of(draft)
        if isinstance(found, Fallback):
            return found
        body = found
    if around.mounted is not None:
        draft.request()
    draft.guard()
    values = _solve(draft, handler.tree, body, root=True, unused=False)
    if isinstance(values, Fallback):
        return values
    if body is not None:
        body.prologue()
    why = stalls(draft, handler.tree)
    if why is not None:
        return Fallback(why)
    draft.checks += draft.limit()
    made = encoding(handler.output, handler.tree.call, draft.where(), draft.source)
    lanes, args = stages(draft, Step(handler.tree, values, "result"), made.answer)
    if len(args) > _MOST_ARGS:
        return Fallback(f"more than {_MOST_ARGS} parameters")
    plan = HotPlan(
        stages=lanes,
        args=args,
        encode=made.encode,
        plain=made.plain,
        status=made.status,
        media=made.media,
        name=call_name(handler.tree.call),
    )
    json = "json" if handler.strict else "json?"
    kind = "form" if draft.form is not None else json if handler.has_body else "none"
    return Entry(plan, tuple(draft.params), kind, handler.max_body, goes_on(draft), draft.form)


def limit_unknown(handler: Handler, around: Surroundings) -> str | None:
    """Return why the limit of a route's body cannot be kept to; None where it can."""
    if handler.max_body is None and around.limited:
        return "a body limit of the application that the route does not know"
    if handler.max_body is not None and not internals.limits_understood():
        return "a body limit that is not understood"
    return None


def _unfit(node: Node) -> str | None:
    if node.concurrency is not None:
        return "dependency with a concurrency limit"
    if node.websocket_name is not None:
        return "WebSocket parameter"
    return next((why for child in node.children if (why := _unfit(child)) is not None), None)


def _shows_request(node: Node) -> bool:
    """Tell whether code of the user's gets the Request; FastAPI's own security classes only read headers."""
    own = node.request_name or node.connection_name
    if own and not type(node.call).__module__.startswith("fastapi.security."):
        return True
    return any(_shows_request(child) for child in node.children)


def call_name(call: Any) -> str:
    """Return what logs call a function: module.function."""
    return f"{getattr(call, '__module__', '')}.{getattr(call, '__qualname__', type(call).__qualname__)}"


def _solve(
    draft: Draft, node: Node, body: Body | FormBody | None, *, root: bool, unused: bool
) -> dict[str, str] | Fallback:
    """Add everything below and of `node`; return its keyword arguments as expressions."""
    values: dict[str, str] = {}
    for child in node.children:
        shared = draft.shared.get(child.key) if child.use_cache else None
        below = _solve(draft, child, body, root=False, unused=shared is not None)
        if isinstance(below, Fallback):
            return below
        out = shared
        if out is None:
            out = draft.source.local("d")
            draft.steps.append(Step(child, below, out))
        if child.name is not None:
            values[child.name] = out
        draft.shared.setdefault(child.key, out)
    if unused:
        # The same callable has run with the same parameters: they are valid, and nobody asks for them again.
        return values
    found = inputs_of(node, draft.facts.route.param_convertors, root=root)
    if isinstance(found, Fallback):
        return found
    for each in found:
        if isinstance(each, Group):
            _add_group(draft, each, values)
        else:
            values[each.param.name] = _add_wired(draft, each)
    if node.body:
        assert body is not None
        body.add(node, values)
    _add_special(draft, node, values)
    return values


def _add_wired(draft: Draft, each: Wired) -> str:
    fresh = each.default is MISSING
    plain = not each.check and not fresh
    default = each.default if plain else MISSING
    name = draft.slot(each.location, each.wire, each.form, required=each.required, default=default)
    if plain:
        return name
    bind = draft.source.bind
    value = name
    if each.check:
        value = f"{bind(each.param.adapter.validator.validate_python, 'check')}({name}, from_attributes=True)"
    if not each.required:
        default = each.fresh if fresh else each.default
        other = bind(default, "default")
        if fresh:
            other = f"{bind(copy.deepcopy, 'deepcopy')}({other})"
        value = f"{other} if {name} is {bind(MISSING, 'MISSING')} else {value}"
    out = draft.source.local("v")
    draft.checks.append(f"{out} = {value}")
    return out


def _add_group(draft: Draft, group: Group, values: dict[str, str]) -> None:
    bind = draft.source.bind
    fields = bind([param.field for param in group.params], "fields")
    received = f"{draft.request()}.{_RECEIVED[group.location]}"
    call = f"{bind(internals.params_to_args, 'params_to_args')}({fields}, {received})"
    out = draft.source.local("g")
    if group.late:
        draft.late += [f"{out}, found = {call}", "errors += found"]
    else:
        draft.checks += [f"{out}, errors = {call}", "if errors:", f"    {draft.refuse()}"]
    for param in group.params:
        values[param.name] = f"{out}[{param.name!r}]"


def _add_special(draft: Draft, node: Node, values: dict[str, str]) -> None:
    """Add what FastAPI hands in by annotation, in its order."""
    bind = draft.source.bind
    for name in (node.connection_name, node.request_name):
        if name:
            values[name] = draft.request()
    if node.tasks_name:
        values[node.tasks_name] = draft.make("tasks", f"{bind(BackgroundTasks, 'BackgroundTasks')}()")
    if node.response_name:
        values[node.response_name] = draft.make("sub", f"{bind(new_response, 'new_response')}()")
    if node.scopes_name:
        values[node.scopes_name] = f"{bind(SecurityScopes, 'SecurityScopes')}(scopes={list(node.scopes)!r})"
