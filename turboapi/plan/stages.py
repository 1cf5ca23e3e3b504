"""Which lane each call of a route runs on, and the text of each stage.

Sync calls run on call threads, each in its own copy of the context, as in
FastAPI's thread pool; on one thread they need no hop. Async ones run on the loop,
all of a route's in one task, so that each sees the context variables of those
before it. That gives, by the order of the calls:

    sync ... sync           one stage on the call lane
    async ... async         one stage on the loop lane
    sync ... async          the call lane, then the loop lane
    async ... sync          the loop lane, then the call lane in the task's context
    anything else           one stage on the loop lane, whose sync calls hop to the call lane and back;
                            those that come first run there before

What reads a form's files into memory runs on the call lane before all of these.

Routes that go on after their answer have shapes of their own: `afterwards`, and `layered` under middleware.
"""

from __future__ import annotations

import contextvars
import inspect
import itertools
from types import FunctionType, MethodType
from typing import Any

from . import internals
from .afterwards import goes_on, stages_of_lasting
from .draft import Draft, Step
from .facts import Node
from .hops import carried_over, goes_to_thread, hop_of_calls
from .lines import call, keywords, late, prologue, refusal
from .plans import Arg, Stage
from .response import Answer
from .scope import stacks_used

__all__ = ["stages", "stalls"]


def stages(draft: Draft, endpoint: Step, answer: Answer) -> tuple[tuple[Stage, ...], tuple[Arg, ...]]:
    """Return the stages, and the arguments of the first."""
    real = _gives_coroutine(endpoint.node.call)
    bare = not (draft.steps or draft.first or draft.early or draft.checks or draft.late)
    if bare and (endpoint.node.kind == "sync" or (real and not answer.foreign)):
        return _direct(draft, endpoint)
    if goes_on(draft):
        if not draft.around.layered:
            return stages_of_lasting(draft, endpoint, answer)
        from .layered import stages_under  # it brings parts of middleware

        return stages_under(draft, endpoint, answer)
    steps = [*draft.steps, endpoint]
    kinds = [step.node.kind for step in steps]
    changes = sum(one != other for one, other in itertools.pairwise(kinds))
    before, end = prologue(draft), _end(draft, answer, kinds[-1])
    head = f"entry({', '.join(draft.arg_names)})"
    args = tuple(draft.args)
    if changes == 0 and kinds[0] == "sync":
        lines = _tail([*before, *_calls(draft, steps, "thread"), *end])
        return (Stage(draft.source.function(f"def {head}:", lines), "call", coroutine=False),), args
    if draft.reads and kinds[0] == "async":
        return _mixed(draft, steps, end)
    if changes == 0 and len(steps) == 1 and end == ["return result"] and real:
        # The endpoint's own coroutine is the task: no frame of ours in between.
        lines = [*before, *_late(draft), f"return {call(draft, endpoint)}"]
        return (Stage(draft.source.function(f"def {head}:", lines), "loop", coroutine=True),), args
    if changes == 1:
        return _two(draft, steps, kinds.index(kinds[-1]), before, end, head), args
    return _mixed(draft, steps, end)


def stalls(draft: Draft, endpoint: Node) -> str | None:
    """Return why reading the files of a form would have to happen on the loop."""
    if draft.reads and endpoint.kind == "async" and draft.late:
        return "content of files that functions of the application validate"
    if draft.reads and goes_on(draft) and not goes_to_thread((*draft.steps, Step(endpoint, {}, ""))[0]):
        return "content of files in an async route that goes on after its answer"
    return None


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
        two = _tail([*_calls(draft, steps[cut:], "loop"), *end])
        carried = carried_over(draft, one, two)
        return (
            Stage(make(f"def {head}:", [*one, f"return {carried}"]), "call", coroutine=False),
            Stage(make("async def rest(carried):", [f"{carried} = carried", *two]), "loop", coroutine=True),
        )
    copied = f"context = {draft.source.bind(contextvars.copy_context, 'copy_context')}()"
    one = [*before, *_calls(draft, steps[:cut], "loop"), copied]
    two = _tail([*_calls(draft, steps[cut:], "context"), *end])
    carried = carried_over(draft, one, two)
    return (
        Stage(make(f"async def {head}:", [*one, f"return {carried}"]), "loop", coroutine=True),
        Stage(make("def rest(carried):", [f"{carried} = carried", *two]), "call", coroutine=False),
    )


def _mixed(draft: Draft, steps: list[Step], end: list[str]) -> tuple[tuple[Stage, ...], tuple[Arg, ...]]:
    """A coroutine whose sync calls are hops, but for those that come first."""
    draft.given("proxy")
    make, head, args = draft.source.function, f"entry({', '.join(draft.arg_names)})", tuple(draft.args)
    first = list(itertools.takewhile(goes_to_thread, steps))
    one = [*prologue(draft), *_calls(draft, first, "thread")]
    two: list[str] = []
    for threads, each in itertools.groupby(steps[len(first) : -1], goes_to_thread):
        group = list(each)
        two += hop_of_calls(draft, group, [*one, *two], scoped=False) if threads else _calls(draft, group, "loop")
    two += _late(draft)
    last = steps[-1]
    two += hop_of_calls(draft, [last], [], scoped=False) if goes_to_thread(last) else _calls(draft, [last], "bare")
    two = _tail([*two, *end])
    if not (first or draft.reads):
        return (Stage(make(f"async def {head}:", [*one, *two]), "loop", coroutine=True),), args
    carried = carried_over(draft, one, two)
    return (
        Stage(make(f"def {head}:", [*one, f"return {carried}"]), "call", coroutine=False),
        Stage(make("async def rest(carried):", [f"{carried} = carried", *two]), "loop", coroutine=True),
    ), args


def _end(draft: Draft, answer: Answer, kind: str) -> list[str]:
    bind = draft.source.bind
    sub = draft.special.get("sub")
    lines = []
    if draft.shown and internals.exit_stacks():
        lines = [f"if {bind(stacks_used, 'stacks_used')}(scope):"]
        lines.append(f"    return {bind(answer.unwinding, 'unwinding')}(result, {sub}, None, scope)")
    if kind == "async" and answer.foreign:
        return [*lines, f"return {bind(answer.whole, 'whole')}(result, {sub})"]
    if sub:
        return [*lines, f"return {bind(answer.finish, 'finish')}(result, {sub}, None)"]
    return [*lines, "return result"]


def _late(draft: Draft) -> list[str]:
    return [*late(draft), *refusal(draft)]


def _calls(draft: Draft, steps: list[Step], how: str) -> list[str]:
    lines: list[str] = []
    for step in steps:
        last = step.out == "result"
        if last and how != "bare":
            lines += _late(draft)
        lines.append(f"{step.out} = {_step(draft, step, how, last=last)}")
    return lines


def _step(draft: Draft, step: Step, how: str, *, last: bool) -> str:
    bind = draft.source.bind
    if step.node.kind == "async":
        return f"await {call(draft, step)}"
    if how == "thread" and last:
        return call(draft, step)
    arguments = ", ".join([bind(step.node.call, "call"), *keywords(step)])
    if how == "context":
        return f"context{'' if last else '.copy()'}.run({arguments})"
    return f"{bind(contextvars.copy_context, 'copy_context')}().run({arguments})"


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
