"""Which lane each call of a route runs on, and the text of each stage.

Sync calls run on call threads, each in its own copy of the context, as in
FastAPI's thread pool; on one thread they need no hop. Async ones run on the loop,
all of a route's in one task, so that each sees the context variables of those
before it. That gives, by the order of the calls:

    sync ... sync           one stage on the call lane
    async ... async         one stage on the loop lane
    sync ... async          the call lane, then the loop lane
    async ... sync          the loop lane, then the call lane in the task's context
    anything else           one stage on the loop lane, sync calls in the thread pool
"""

from __future__ import annotations

import contextvars
import inspect
import itertools
from types import FunctionType, MethodType
from typing import Any

from starlette.concurrency import run_in_threadpool

from . import internals
from .draft import Draft, Step
from .plans import Arg, Stage
from .response import Answer
from .scope import stacks_used
from .source import used_names

__all__ = ["stages"]


def stages(draft: Draft, endpoint: Step, answer: Answer) -> tuple[tuple[Stage, ...], tuple[Arg, ...]]:
    """Return the stages, and the arguments of the first."""
    real = _gives_coroutine(endpoint.node.call)
    bare = not (draft.steps or draft.early or draft.checks or draft.late)
    if bare and (endpoint.node.kind == "sync" or real):
        return _direct(draft, endpoint)
    steps = [*draft.steps, endpoint]
    kinds = [step.node.kind for step in steps]
    changes = sum(one != other for one, other in itertools.pairwise(kinds))
    before, end = _prologue(draft), _end(draft, answer)
    head = f"entry({', '.join(draft.arg_names)})"
    args = tuple(draft.args)
    if changes == 0 and kinds[0] == "sync":
        lines = _tail([*before, *_calls(draft, steps, "thread"), *end])
        return (Stage(draft.source.function(f"def {head}:", lines), "call", coroutine=False),), args
    if changes == 0 and len(steps) == 1 and end == ["return result"] and real:
        # The endpoint's own coroutine is the task: no frame of ours in between.
        lines = [*before, *_late(draft), f"return {_call(draft, endpoint)}"]
        return (Stage(draft.source.function(f"def {head}:", lines), "loop", coroutine=True),), args
    if changes == 1:
        return _two(draft, steps, kinds.index(kinds[-1]), before, end, head), args
    lines = _tail([*before, *_calls(draft, steps, "pool"), *end])
    return (Stage(draft.source.function(f"async def {head}:", lines), "loop", coroutine=True),), args


def _direct(draft: Draft, endpoint: Step) -> tuple[tuple[Stage, ...], tuple[Arg, ...]]:
    """The endpoint itself, called by keyword: no Python of ours at all."""
    keywords = {expression: name for name, expression in endpoint.values.items()}
    pairs = zip(draft.args, draft.arg_names, strict=True)
    args = tuple(Arg(arg.source, arg.index, arg.default, keywords[name]) for arg, name in pairs)
    loop = endpoint.node.kind == "async"
    return (Stage(endpoint.node.call, "loop" if loop else "call", coroutine=loop),), args


def _two(draft: Draft, steps: list[Step], cut: int, before: list[str], end: list[str], head: str) -> tuple[Stage, ...]:
    make = draft.source.function
    if steps[0].node.kind == "sync":
        one = [*before, *_calls(draft, steps[:cut], "thread")]
        two = _tail([*_calls(draft, steps[cut:], "pool"), *end])
        carried = _carried(draft, one, two)
        return (
            Stage(make(f"def {head}:", [*one, f"return {carried}"]), "call", coroutine=False),
            Stage(make("async def rest(carried):", [f"{carried} = carried", *two]), "loop", coroutine=True),
        )
    copied = f"context = {draft.source.bind(contextvars.copy_context, 'copy_context')}()"
    one = [*before, *_calls(draft, steps[:cut], "pool"), copied]
    two = _tail([*_calls(draft, steps[cut:], "context"), *end])
    carried = _carried(draft, one, two)
    return (
        Stage(make(f"async def {head}:", [*one, f"return {carried}"]), "loop", coroutine=True),
        Stage(make("def rest(carried):", [f"{carried} = carried", *two]), "call", coroutine=False),
    )


def _carried(draft: Draft, one: list[str], two: list[str]) -> str:
    """Return the locals that the second stage takes from the first, as a tuple."""
    made = {part.strip() for line in one if " = " in line for part in line.partition(" = ")[0].split(",")}
    kept = sorted((made | set(draft.arg_names)) & used_names(two))
    return f"({''.join(name + ', ' for name in kept)})"


def _prologue(draft: Draft) -> list[str]:
    if not draft.checks:
        return draft.early
    # None of this is code of the user's, so whatever goes wrong, FastAPI can do it again.
    checks = ["    " + line for line in draft.checks]
    return [*draft.early, "try:", *checks, "except Exception:", f"    {draft.refuse()} from None"]


def _late(draft: Draft) -> list[str]:
    if not draft.late:
        return []
    call, where = draft.handler.tree.call, draft.where()

    def refuse(errors: list[Any], body: Any) -> None:
        internals.raise_request_error(errors, body, call, where)

    body = "parsed" if draft.parses else "None"
    return ["errors = []", *draft.late, "if errors:", f"    {draft.source.bind(refuse, 'refuse')}(errors, {body})"]


def _end(draft: Draft, answer: Answer) -> list[str]:
    bind = draft.source.bind
    sub, tasks = draft.special.get("sub"), draft.special.get("tasks")
    lines = []
    if draft.shown and internals.exit_stacks():
        lines = [f"if {bind(stacks_used, 'stacks_used')}(scope):"]
        lines.append(f"    return {bind(answer.unwinding, 'unwinding')}(result, {sub}, {tasks}, scope)")
    if sub or tasks:
        return [*lines, f"return {bind(answer.finish, 'finish')}(result, {sub}, {tasks})"]
    return [*lines, "return result"]


def _calls(draft: Draft, steps: list[Step], how: str) -> list[str]:
    lines: list[str] = []
    for step in steps:
        last = step.out == "result"
        if last:
            lines += _late(draft)
        lines.append(f"{step.out} = {_step(draft, step, how, last=last)}")
    return lines


def _step(draft: Draft, step: Step, how: str, *, last: bool) -> str:
    bind = draft.source.bind
    if step.node.kind == "async":
        return f"await {_call(draft, step)}"
    if how == "thread" and last:
        return _call(draft, step)
    arguments = ", ".join([bind(step.node.call, "call"), *_keywords(step)])
    if how == "pool":
        return f"await {bind(run_in_threadpool, 'run_in_threadpool')}({arguments})"
    if how == "context":
        return f"context{'' if last else '.copy()'}.run({arguments})"
    return f"{bind(contextvars.copy_context, 'copy_context')}().run({arguments})"


def _call(draft: Draft, step: Step) -> str:
    return f"{draft.source.bind(step.node.call, 'call')}({', '.join(_keywords(step))})"


def _keywords(step: Step) -> list[str]:
    return [f"{name}={value}" for name, value in step.values.items()]


def _tail(lines: list[str]) -> list[str]:
    """Return the result without a name for it."""
    if len(lines) > 1 and lines[-1] == "return result" and lines[-2].startswith("result = "):
        return [*lines[:-2], "return " + lines[-2].removeprefix("result = ")]
    return lines


def _gives_coroutine(call: Any) -> bool:
    """Tell whether calling gives a real coroutine, not just something to await."""
    if isinstance(call, MethodType):
        call = call.__func__
    return isinstance(call, FunctionType) and bool(call.__code__.co_flags & inspect.CO_COROUTINE)
