"""Sync calls of a coroutine: on the call lane, as many with one hop as can go together, each in its own context."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Sequence

from .around import enter, gives_generator, in_scopes, leave
from .draft import Draft, Step
from .lines import call, keywords
from .source import used_names

__all__ = ["begun", "call_in_copy", "carried_over", "goes_to_thread", "hop_of_calls", "hop_of_ends", "name_of"]


def goes_to_thread(step: Step) -> bool:
    """Tell whether a step begins on a thread as a whole; a generator that is no plain one is made on the loop."""
    return step.node.kind == "sync" or (step.node.kind == "yield" and gives_generator(step.node.call))


def name_of(step: Step) -> str:
    """Return the local that a dependency's generator stands in."""
    return f"of_{step.out}"


def begun(step: Step) -> str:
    """Return the text that notes that a dependency has begun."""
    return f"{'early' if step.node.early else 'opened'}.append({name_of(step)})"


def call_in_copy(draft: Draft, step: Step) -> list[str]:
    """Return the text of a step on the thread that it runs on."""
    copy = f"{draft.source.bind(contextvars.copy_context, 'copy_context')}()"
    if step.node.kind == "yield":
        name = name_of(step)
        begin = f"{step.out} = {copy}.run({draft.source.bind(enter, 'enter')}, {name})"
        return [f"{name} = {call(draft, step)}", begin, begun(step)]
    return [f"{step.out} = {copy}.run({', '.join([draft.source.bind(step.node.call, 'call'), *keywords(step)])})"]


def hop_of_calls(draft: Draft, steps: Sequence[Step], known: Iterable[str], *, scoped: bool) -> list[str]:
    """Return the text that runs `steps` with one hop.

    known: the lines so far, which say what there is to hand over. scoped: code of the user's may have opened a scope
    of AnyIO's that can be cancelled.
    """
    bind = draft.source.bind
    if len(steps) == 1:
        (step,) = steps
        if step.node.kind == "yield":
            begin = f"{step.out} = await {_run(draft, bind(enter, 'enter'), [name_of(step)], scoped=scoped)}"
            return [f"{name_of(step)} = {call(draft, step)}", begin, begun(step)]
        return [f"{step.out} = await {_run(draft, bind(step.node.call, 'call'), keywords(step), scoped=scoped)}"]
    lines = [line for step in steps for line in call_in_copy(draft, step)]
    given = sorted((_assigned(known) | set(draft.arg_names)) & used_names(lines))
    outs = "".join(f"{step.out}, {name_of(step) + ', ' if step.node.kind == 'yield' else ''}" for step in steps)
    function = draft.source.function(f"def calls({', '.join(given)}):", [*lines, f"return {outs}"])
    return [f"{outs} = await {_run(draft, bind(function, 'calls'), given, scoped=scoped)}"]


def hop_of_ends(draft: Draft, stack: str, steps: Sequence[Step], *, scoped: bool) -> list[str]:
    """Return the text that ends `steps`, in this order, with one hop. stack: the list that they stand in."""
    bind = draft.source.bind
    end = bind(leave, "leave")
    if len(steps) == 1:
        return [
            f"{stack}.pop()",
            f"await {_run(draft, end, [name_of(steps[0])], scoped=scoped, beyond=True)}",
        ]
    copy = f"{bind(contextvars.copy_context, 'copy_context')}()"
    names = [name_of(step) for step in steps]
    lines = [line for name in names for line in (f"{stack}.pop()", f"{copy}.run({end}, {name})")]
    function = draft.source.function(f"def ends({', '.join([stack, *names])}):", lines)
    return [f"await {_run(draft, bind(function, 'ends'), [stack, *names], scoped=scoped, beyond=True)}"]


def carried_over(draft: Draft, one: Iterable[str], two: Iterable[str]) -> str:
    """Return the locals that the text of one stage takes from that before it, as a tuple."""
    kept = sorted((_assigned(one) | set(draft.arg_names)) & used_names(two))
    return f"({''.join(name + ', ' for name in kept)})"


def _assigned(lines: Iterable[str]) -> set[str]:
    """Return what the lines assign to."""
    return {part.strip() for line in lines if " = " in line for part in line.partition(" = ")[0].split(",")}


def _run(draft: Draft, function: str, arguments: Sequence[str], *, scoped: bool, beyond: bool = False) -> str:
    method = "proxy.run_beyond" if beyond else "proxy.run"
    first = [draft.source.bind(in_scopes, "in_scopes"), method] if scoped else [method]
    return f"{first[0]}({', '.join([*first[1:], function, *arguments])})"
