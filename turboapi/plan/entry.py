"""A route's entry point: the order of its calls, on which lanes they run, and the text that does it.

FastAPI solves the dependency tree depth first, each dependency once, then calls
the endpoint. All of that order is known beforehand, so the generated text is a
straight line: validate what needs no code of the user's (and decline where
FastAPI would refuse), call the dependencies, validate what the user's own
functions validate, call the endpoint.

Lanes. Sync calls run on call threads, each in its own copy of the context, as
FastAPI's do in its thread pool. Async ones run on the loop, all of a route's in
one task, so that each sees the context variables of those before it.
"""

from __future__ import annotations

import contextvars
import copy
import inspect
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import Any

from fastapi.background import BackgroundTasks
from fastapi.security import SecurityScopes
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from . import internals
from .body import Body, body_of
from .facts import Node, RouteFacts
from .inputs import MISSING, Group, Wired, inputs_of
from .plans import Arg, Fallback, HotPlan, Stage
from .response import encoding, new_response
from .source import Source, used_names

__all__ = ["Entry", "Surroundings", "build"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a route's requests share with the application.

    scope: entries that FastAPI puts into every scope. decline: the exception class that means "FastAPI answers".
    limited: a body limit holds for the whole application.
    """

    scope: Mapping[str, Any]
    decline: type[Exception]
    limited: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A compiled route: its plan, and what the engine extracts for it."""

    plan: HotPlan
    params: tuple[dict[str, Any], ...]
    body: str
    max_body: int | None


@dataclass(slots=True)
class _Step:
    node: Node
    values: dict[str, str]
    out: str


@dataclass(slots=True)
class _Build:
    """One route being compiled."""

    facts: RouteFacts
    around: Surroundings
    source: Source
    args: list[Arg] = field(default_factory=list)
    arg_names: list[str] = field(default_factory=list)
    params: list[dict[str, Any]] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    steps: list[_Step] = field(default_factory=list)
    shared: dict[Any, str] = field(default_factory=dict)
    special: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    shows_request: bool = False
    body: Body | None = None


def build(facts: RouteFacts, around: Surroundings) -> Entry | Fallback:
    """Compile one route."""
    handler = facts.handler
    assert handler is not None
    why = _unfit(handler.tree, root=True)
    if why is not None:
        return Fallback(why)
    if handler.stream:
        return Fallback("the endpoint is a generator")
    if handler.form:
        return Fallback("form body")
    if handler.output.status == 205:
        return Fallback("status 205")
    b = _Build(facts, around, Source(f"{'/'.join(facts.methods or ())} {facts.path}"))
    b.shows_request = _shows_request(handler.tree)
    if handler.max_body is None and around.limited:
        return Fallback("a body limit of the application that the route does not know")
    if b.shows_request and handler.max_body is not None:
        return Fallback("max_body_size with a Request parameter")
    if handler.has_body:
        body = body_of(handler, b.source, shows_request=b.shows_request, decline=around.decline)
        if isinstance(body, Fallback):
            return body
        b.body = body
    values = _solve(b, handler.tree, root=True, unused=False)
    if isinstance(values, Fallback):
        return values
    return _finish(b, values)


def _unfit(node: Node, *, root: bool) -> str | None:
    if node.kind == "yield" and not root:
        return "dependency with yield"
    if node.limited:
        return "dependency with a concurrency limit"
    if node.websocket_name is not None:
        return "WebSocket parameter"
    for child in node.children:
        why = _unfit(child, root=False)
        if why is not None:
            return why
    return None


def _shows_request(node: Node) -> bool:
    """Tell whether code of the user's gets the Request."""
    own = node.request_name or node.connection_name
    if own and not _own_security(node.call):
        return True
    return any(_shows_request(child) for child in node.children)


def _own_security(call: Any) -> bool:
    return type(call).__module__.startswith("fastapi.security.")


# ---- the tree -------------------------------------------------------------------------------------------------


def _solve(b: _Build, node: Node, *, root: bool, unused: bool) -> dict[str, str] | Fallback:
    """Emit everything below and of `node`; return its keyword arguments as expressions."""
    values: dict[str, str] = {}
    for child in node.children:
        hit = child.use_cache and child.key in b.shared
        sub = _solve(b, child, root=False, unused=hit)
        if isinstance(sub, Fallback):
            return sub
        if hit:
            out = b.shared[child.key]
        else:
            out = b.source.local("d")
            b.steps.append(_Step(child, sub, out))
        if child.name is not None:
            values[child.name] = out
        b.shared.setdefault(child.key, out)
    if unused:
        # The same callable has run with the same parameters: they are valid, and nobody asks for them again.
        return values
    why = _own_values(b, node, values, root=root)
    return values if why is None else why


def _own_values(b: _Build, node: Node, values: dict[str, str], *, root: bool) -> Fallback | None:
    found = inputs_of(node, _convertors(b.facts), root=root)
    if isinstance(found, Fallback):
        return found
    for each in found:
        if isinstance(each, Group):
            _emit_group(b, each, values)
        else:
            values[each.param.name] = _emit_wired(b, each)
    if node.body:
        assert b.body is not None
        b.body.emit(node, values, b.checks, b.late, b.source)
    for name in (node.connection_name, node.request_name):
        if name:
            values[name] = _request(b)
    if node.tasks_name:
        values[node.tasks_name] = _special(b, "tasks", f"{b.source.bind(BackgroundTasks, 'BackgroundTasks')}()")
    if node.response_name:
        values[node.response_name] = _special(b, "sub", f"{b.source.bind(new_response, 'new_response')}()")
    if node.scopes_name:
        made = f"{b.source.bind(SecurityScopes, 'SecurityScopes')}(scopes={list(node.scopes)!r})"
        values[node.scopes_name] = made
    return None


def _convertors(facts: RouteFacts) -> Mapping[str, Any]:
    convertors: Mapping[str, Any] = facts.route.param_convertors
    return convertors


def _slot(b: _Build, location: str, wire: str, form: str, required: bool, default: Any) -> str:
    """Add one extracted value; return the argument's name."""
    name = b.source.local("p")
    b.args.append(Arg("slot", len(b.params), None if required else default))
    b.arg_names.append(name)
    b.params.append({"in": location, "name": wire, "form": form, "required": required})
    return name


def _input(b: _Build, source: Any, name: str) -> str:
    if name not in b.arg_names:
        b.args.append(Arg(source))
        b.arg_names.append(name)
    return name


def _emit_wired(b: _Build, each: Wired) -> str:
    name = _slot(b, each.location, each.wire, each.form, each.required, each.default)
    if not each.check and each.default is not MISSING:
        return name
    value = name
    if each.check:
        value = f"{b.source.bind(each.param.adapter.validator.validate_python, 'check')}({name}, from_attributes=True)"
    if not each.required:
        missing = b.source.bind(MISSING, "MISSING")
        if each.default is MISSING:
            other = f"{b.source.bind(copy.deepcopy, 'deepcopy')}({b.source.bind(each.fresh, 'default')})"
        else:
            b.args[b.arg_names.index(name)] = Arg("slot", len(b.params) - 1, MISSING)
            other = b.source.bind(each.default, "default")
        value = f"{other} if {name} is {missing} else {value}"
    out = b.source.local("v")
    b.checks.append(f"{out} = {value}")
    return out


def _emit_group(b: _Build, group: Group, values: dict[str, str]) -> None:
    request = _request(b)
    received = {
        "path": "path_params",
        "query": "query_params",
        "header": "headers",
        "cookie": "cookies",
    }[group.location]
    fields = b.source.bind([param.field for param in group.params], "fields")
    call = f"{b.source.bind(internals.params_to_args, 'params_to_args')}({fields}, {request}.{received})"
    out = b.source.local("g")
    if group.late:
        b.late += [f"{out}, found = {call}", "errors += found"]
    else:
        b.checks += [f"{out}, errors = {call}", "if errors:", f"    raise {_decline(b)}"]
    for param in group.params:
        values[param.name] = f'{out}["{param.name}"]'


def _decline(b: _Build) -> str:
    return b.source.bind(b.around.decline, "Decline")


def _special(b: _Build, name: str, text: str) -> str:
    if name not in b.special:
        b.special[name] = name
        b.early.append(f"{name} = {text}")
    return name


def _request(b: _Build) -> str:
    """Emit the Request, once, with the scope that FastAPI would have given it."""
    if "request" in b.special:
        return "request"
    b.special["request"] = "request"
    proxy = _input(b, "proxy", "proxy")
    bind = b.source.bind
    b.early += [f"scope = {proxy}.scope()", f"scope.update({bind(dict(b.around.scope), 'surroundings')})"]
    b.early += [
        f'scope["route"] = {bind(_original(b.facts.route), "route")}',
        f'scope["endpoint"] = {bind(b.facts.route.endpoint, "endpoint")}',
    ]
    pairs = []
    for name, convertor in _convertors(b.facts).items():
        text = _slot(b, "path", name, "str", True, None)
        if type(convertor).__name__ not in ("StringConvertor", "PathConvertor"):
            text = f"{bind(convertor.convert, 'convert')}({text})"
        pairs.append(f"{name!r}: {text}")
    b.early.append(f'scope["path_params"] = {{{", ".join(pairs)}}}')
    b.early.append(f"request = {proxy}.request = {bind(Request, 'Request')}(scope, {proxy}.receive, {proxy}.send)")
    if b.body is not None:
        raw = _input(b, "body", "body")
        b.early += [f"request._body = {raw}", "request._stream_consumed = True"]
    return "request"


def _original(route: Any) -> Any:
    return getattr(route, "original_route", route)


# ---- stages ---------------------------------------------------------------------------------------------------


def _finish(b: _Build, values: dict[str, str]) -> Entry:
    facts, handler = b.facts, b.facts.handler
    assert handler is not None
    tree = handler.tree
    title = f"{'/'.join(facts.methods or ())} {facts.path}"
    made = encoding(handler.output, tree.call, title, b.source)
    if b.body is not None:
        b.body.prologue(b.checks, b.early, _input(b, "body", "body"), "request" if "request" in b.special else None)
    name = f"{getattr(tree.call, '__module__', '')}.{getattr(tree.call, '__qualname__', type(tree.call).__qualname__)}"
    stages, args = _stages(b, values, made.answer)
    plan = HotPlan(
        stages=stages,
        args=args,
        encode=made.encode,
        plain=made.plain,
        status=made.status,
        media=made.media,
        name=name,
    )
    return Entry(plan, tuple(b.params), "json" if b.body is not None else "none", handler.max_body)


def _stages(b: _Build, values: dict[str, str], answer: Any) -> tuple[tuple[Stage, ...], tuple[Arg, ...]]:
    assert b.facts.handler is not None
    tree = b.facts.handler.tree
    direct = not (b.steps or b.early or b.checks or b.late or b.special)
    if direct and (tree.kind == "sync" or _is_coroutine_function(tree.call)):
        by_name = {expression: keyword for keyword, expression in values.items()}
        args = tuple(
            Arg(arg.source, arg.index, arg.default, by_name[name])
            for arg, name in zip(b.args, b.arg_names, strict=True)
        )
        lane = Stage(tree.call, "loop" if tree.kind == "async" else "call", tree.kind == "async")
        return (lane,), args
    # The endpoint is the last step; what the user's functions validate comes right before it.
    steps = [*b.steps, _Step(tree, values, "result")]
    kinds = [step.node.kind for step in steps]
    before = _prologue(b)
    end = ["return result"]
    if "sub" in b.special or "tasks" in b.special:
        finish = b.source.bind(answer.finish, "finish")
        end = [f"return {finish}(result, {b.special.get('sub', None)}, {b.special.get('tasks', None)})"]
    args = tuple(b.args)
    head = f"entry({', '.join(b.arg_names)})"
    changes = sum(one != other for one, other in itertools.pairwise(kinds))
    if changes == 0:
        return _one_stage(b, steps, kinds[0], before, end, head), args
    if changes == 1:
        return _two_stages(b, steps, kinds.index(kinds[-1]), before, end, head), args
    lines = [*before, *_calls(b, steps, "pool"), *end]
    return (Stage(b.source.function(f"async def {head}:", lines), "loop", True),), args


def _one_stage(
    b: _Build, steps: list[_Step], kind: str, before: list[str], end: list[str], head: str
) -> tuple[Stage, ...]:
    if kind == "sync":
        lines = [*before, *_calls(b, steps, "thread"), *end]
        return (Stage(b.source.function(f"def {head}:", _tail(lines)), "call", False),)
    if len(steps) == 1 and end == ["return result"] and _is_coroutine_function(steps[0].node.call):
        # The endpoint's own coroutine is the task: no frame of ours in between.
        lines = [*before, *_late(b), f"return {_call(b, steps[0])}"]
        return (Stage(b.source.function(f"def {head}:", lines), "loop", True),)
    lines = [*before, *_calls(b, steps, "loop"), *end]
    return (Stage(b.source.function(f"async def {head}:", _tail(lines)), "loop", True),)


def _two_stages(
    b: _Build, steps: list[_Step], cut: int, before: list[str], end: list[str], head: str
) -> tuple[Stage, ...]:
    first, second = steps[:cut], steps[cut:]
    if first[0].node.kind == "sync":
        one = [*before, *_calls(b, first, "thread")]
        two = [*_calls(b, second, "loop"), *end]
        carried = _carried(one, two, b)
        stage = Stage(b.source.function(f"def {head}:", [*one, f"return {carried}"]), "call", False)
        rest = b.source.function("async def rest(carried):", [f"{carried} = carried", *_tail(two)])
        return stage, Stage(rest, "loop", True)
    # The sync calls see what the async ones have set in their task's context.
    one = [*before, *_calls(b, first, "loop"), f"context = {b.source.bind(contextvars.copy_context, 'copy_context')}()"]
    two = [*_calls(b, second, "context"), *end]
    carried = _carried(one, two, b)
    stage = Stage(b.source.function(f"async def {head}:", [*one, f"return {carried}"]), "loop", True)
    rest = b.source.function("def rest(carried):", [f"{carried} = carried", *_tail(two)])
    return stage, Stage(rest, "call", False)


def _carried(one: list[str], two: list[str], b: _Build) -> str:
    defined = {line.partition(" = ")[0].strip() for line in one if " = " in line}
    names = {part.strip() for text in defined for part in text.split(",")} | set(b.arg_names)
    kept = sorted(name for name in names & used_names(two) if name.isidentifier())
    return f"({''.join(name + ', ' for name in kept)})"


def _tail(lines: list[str]) -> list[str]:
    """Return the result without a name for it."""
    if len(lines) > 1 and lines[-1] == "return result" and lines[-2].startswith("result = "):
        return [*lines[:-2], "return " + lines[-2].removeprefix("result = ")]
    return lines


def _prologue(b: _Build) -> list[str]:
    if not b.checks:
        return list(b.early)
    refused = b.source.bind(ValidationError, "ValidationError")
    return [
        *b.early,
        "try:",
        *("    " + line for line in b.checks),
        f"except {refused}:",
        f"    raise {_decline(b)} from None",
    ]


def _late(b: _Build) -> list[str]:
    if not b.late:
        return []

    assert b.facts.handler is not None
    call = b.facts.handler.tree.call
    title = f"{'/'.join(b.facts.methods or ())} {b.facts.path}"

    def refuse(errors: list[Any], body: Any) -> None:
        internals.raise_request_error(errors, body, call, title)

    body = "parsed" if b.body is not None and b.body.parses else "None"
    return ["errors = []", *b.late, "if errors:", f"    {b.source.bind(refuse, 'refuse')}(errors, {body})"]


def _calls(b: _Build, steps: list[_Step], how: str) -> list[str]:
    lines: list[str] = []
    for step in steps:
        last = step.out == "result"
        if last:
            lines += _late(b)
        keywords = ", ".join(f"{name}={value}" for name, value in step.values.items())
        call = b.source.bind(step.node.call, "call")
        after = f", {keywords}" if keywords else ""
        if step.node.kind == "async":
            text = f"await {call}({keywords})"
        elif how == "pool":
            text = f"await {b.source.bind(run_in_threadpool, 'run_in_threadpool')}({call}{after})"
        elif how == "context":
            text = f"context{'' if last else '.copy()'}.run({call}{after})"
        elif last:
            text = f"{call}({keywords})"
        else:
            text = f"{b.source.bind(contextvars.copy_context, 'copy_context')}().run({call}{after})"
        lines.append(f"{step.out} = {text}")
    return lines


def _call(b: _Build, step: _Step) -> str:
    keywords = ", ".join(f"{name}={value}" for name, value in step.values.items())
    return f"{b.source.bind(step.node.call, 'call')}({keywords})"


def _is_coroutine_function(call: Any) -> bool:
    """Tell whether calling gives a real coroutine, not just something to await."""
    if isinstance(call, MethodType):
        call = call.__func__
    return (
        isinstance(call, FunctionType)
        and inspect.iscoroutinefunction(call)
        and bool(call.__code__.co_flags & inspect.CO_COROUTINE)
    )
