"""The text of routes that go on after their answer: dependencies with `yield`, and background tasks.

All of it stands in FastAPI's order:

    dependencies begin, endpoint, result to bytes
    ends of dependencies of scope "function" (of all of them in releases before 0.118)
    answer
    background tasks
    ends of the other dependencies

It is one function on the call lane where all that it calls is sync. Otherwise it is
one coroutine on the loop, so that what an async dependency opens is closed by the
same task; sync dependencies that come first run on the call lane before that.
"""

from __future__ import annotations

import contextvars
import itertools
from collections.abc import Iterable, Sequence

from . import internals
from .around import Tail, in_scopes, leave, overrun, unwind, unwind_async
from .background import later, only_sync, run_tasks, run_tasks_here
from .draft import Draft, Step
from .hops import begun, call_in_copy, carried_over, goes_to_thread, hop_of_calls, hop_of_ends, name_of
from .lines import call, late, prologue, refusal
from .plans import Arg, Stage
from .response import Answer
from .scope import stacks_used

__all__ = ["OnLoop", "goes_on", "stages_of_lasting"]


def goes_on(draft: Draft) -> bool:
    """Tell whether something may run after the answer that the route itself has asked for."""
    return "tasks" in draft.special or any(_yields(step) for step in draft.steps)


def stages_of_lasting(draft: Draft, endpoint: Step, answer: Answer) -> tuple[tuple[Stage, ...], tuple[Arg, ...]]:
    """Return the stages of such a route, and the arguments of the first."""
    draft.given("proxy")
    make, head, args = draft.source.function, f"entry({', '.join(draft.arg_names)})", tuple(draft.args)
    if all(goes_to_thread(step) for step in [*draft.steps, endpoint]):
        lines = [*prologue(draft), *_Threaded(draft, endpoint, answer).lines()]
        return (Stage(make(f"def {head}:", lines), "call", coroutine=False),), args
    first = list(itertools.takewhile(goes_to_thread, draft.steps))
    if not first:
        lines = [*prologue(draft), *OnLoop(draft, endpoint, answer).lines()]
        return (Stage(make(f"async def {head}:", lines), "loop", coroutine=True),), args
    # What comes first needs no task yet: the way from its thread to the loop is half a hop.
    one = [*prologue(draft), *_Threaded(draft, endpoint, answer).beginning(first)]
    two = OnLoop(draft, endpoint, answer).rest(one, len(first))
    carried = carried_over(draft, one, two)
    one = [line.replace("return carried", f"return {carried}") for line in one]
    return (
        Stage(make(f"def {head}:", one), "call", coroutine=False),
        Stage(make("async def rest(carried):", [f"{carried} = carried", *two]), "loop", coroutine=True),
    ), args


def _yields(step: Step) -> bool:
    return step.node.kind in ("yield", "async yield")


def _indented(lines: Iterable[str]) -> list[str]:
    return ["    " + line for line in lines]


class _Text:
    """What both shapes have in common. `early` and `opened` name the lists of dependencies that have begun."""

    def __init__(self, draft: Draft, endpoint: Step, answer: Answer) -> None:
        self.draft = draft
        self.endpoint = endpoint
        self.answer = answer
        self.bind = draft.source.bind
        self.shown = draft.shown and bool(internals.exit_stacks())
        self.tasks = draft.special.get("tasks")
        self.sub = draft.special.get("sub")
        self.early = [step for step in draft.steps if _yields(step) and step.node.early]
        self.opened = [step for step in draft.steps if _yields(step) and not step.node.early]
        # Something has to be closed after the answer.
        self.holds = bool(self.opened)

    def lines(self) -> list[str]:
        """Return the whole body, after the checks."""
        return [*self.start(), *self.body(self.draft.steps)]

    def start(self) -> list[str]:
        """Make what the body needs from the first dependency on."""
        lists = {"early": bool(self.early), "opened": self.holds}
        return [f"{name} = {self._list(name)}" for name, needed in lists.items() if needed]

    def body(self, steps: Sequence[Step]) -> list[str]:
        """Return all from `steps` on."""
        # Nobody hears of what is refused, and dependencies have ended, in the releases in which it is so.
        quiet = bool(self.early and self.draft.late and internals.late_errors_after_exits())
        lines = self._solve(steps, quiet=quiet)
        if self.early:
            lines = [*self.guarded("early", lines), *(refusal(self.draft) if quiet else [])]
            if internals.late_errors_after_exits():
                lines = ["response = None", *lines, "if response is None:", self.swallowed()]
        lines += self._answer()
        if self.holds:
            lines += ["awaited = True", *self._ends("opened", self.opened)]
            lines = ["awaited = False", *self.guarded("opened", lines), "if not awaited:", self.swallowed()]
        return lines

    def guarded(self, name: str, lines: Sequence[str]) -> list[str]:
        """Let the dependencies in a list hear of exceptions in `lines`."""
        caught = ["try:", *_indented(lines), "except BaseException as error:"]
        if self.shown:
            # It goes through the stacks, once, where the exception becomes an answer.
            caught += [f"    if {self.bind(stacks_used, 'stacks_used')}(scope):", "        raise"]
        return [*caught, f"    {self._unwind(name)}"]

    def swallowed(self) -> str:
        """Return the text that says that there is no response."""
        return f"    raise {self.bind(internals.swallowed, 'swallowed')}()"

    def _solve(self, steps: Sequence[Step], *, quiet: bool) -> list[str]:
        """From the first dependency to the result as bytes, and the ends that come before the answer."""
        lines = self._calls(steps)
        lines += late(self.draft)
        if not quiet:
            lines += refusal(self.draft)
        result = self._result()
        lines += ["if not errors:", *_indented(result)] if quiet else result
        return [*lines, *self._ends("early", self.early)]

    def _result(self) -> list[str]:
        lines = self._endpoint()
        if self.shown:
            lines.append(f"if {self.bind(stacks_used, 'stacks_used')}(scope):")
            unwinding = self.bind(self.answer.unwinding, "unwinding")
            lines.append(f"    return {unwinding}(result, {self.sub}, {self.tasks}, scope)")
        value = f"{self.bind(self.answer.finish, 'finish')}(result, {self.sub}, None)" if self.sub else "result"
        if self.tasks and not (self.early or self.holds):
            # Nothing was added, as in most requests: an answer like any other.
            lines += [f"if not {self.tasks}.tasks:", f"    return {value}"]
        return [*lines, f"response = proxy.make({value})"]

    def _later(self) -> str:
        """What runs in the background; bytes have only what was handed in."""
        name = self.bind(later, "later")
        return f"later = {self.tasks} if response.__class__ is bytes else {name}(response, {self.tasks})"

    def _list(self, name: str) -> str:
        """Where dependencies that have begun stand: FastAPI's own stack, where code of the user's can see it."""
        if not self.shown:
            return "[]"
        return f'scope["fastapi_{"function" if name == "early" else "inner"}_astack"]'

    def _calls(self, steps: Sequence[Step]) -> list[str]:
        raise NotImplementedError

    def _endpoint(self) -> list[str]:
        raise NotImplementedError

    def _ends(self, name: str, steps: Sequence[Step]) -> list[str]:
        raise NotImplementedError

    def _unwind(self, name: str) -> str:
        raise NotImplementedError

    def _answer(self) -> list[str]:
        raise NotImplementedError


class _Threaded(_Text):
    """A function on the call lane. `base` is the context before any code of the user's; each call has a copy."""

    def start(self) -> list[str]:
        return [f"base = {self.bind(contextvars.copy_context, 'copy_context')}()", *super().start()]

    def beginning(self, steps: Sequence[Step]) -> list[str]:
        """Return the text of the first dependencies alone, which returns `carried`."""
        lines = [*self._calls(steps), "return carried"]
        if any(step in self.early for step in steps):
            # Swallowed: FastAPI goes on to a response that was not made.
            old = internals.late_errors_after_exits()
            lines = [*self.guarded("early", lines), self.swallowed().strip() if old else "del response"]
        if any(step in self.opened for step in steps):
            lines = [*self.guarded("opened", lines), self.swallowed().strip()]
        return [*self.start(), *lines]

    def _calls(self, steps: Sequence[Step]) -> list[str]:
        return [line for step in steps for line in call_in_copy(self.draft, step)]

    def _endpoint(self) -> list[str]:
        return [f"result = {call(self.draft, self.endpoint)}"]

    def _ends(self, name: str, steps: Sequence[Step]) -> list[str]:
        end = self.bind(leave, "leave")
        return [
            line for step in reversed(steps) for line in (f"{name}.pop()", f"base.copy().run({end}, {name_of(step)})")
        ]

    def _unwind(self, name: str) -> str:
        return f"{self.bind(unwind, 'unwind')}({name}, error, base)"

    def _answer(self) -> list[str]:
        tail, opened = self.bind(Tail, "tail"), "opened" if self.opened else "()"
        return [
            self._later(),
            "if not proxy.answer(response):",
            f"    return {tail}(proxy, response, later, {opened})",
            "if later is not None:",
            f"    left = {self.bind(run_tasks_here, 'run_tasks_here')}(later, base)",
            "    if left is not None:",
            f"        return {tail}(proxy, None, left, {opened})",
        ]


class OnLoop(_Text):
    """A coroutine on the loop lane; sync calls are hops.

    scopes: code of the user's that is open around other code may have opened scopes of AnyIO's, which a hop respects.
    called: the endpoint was called with the hop of what comes before it. before: the lines before its own.
    """

    def __init__(self, draft: Draft, endpoint: Step, answer: Answer) -> None:
        super().__init__(draft, endpoint, answer)
        self.scopes = False
        self.called = False
        self.before: Sequence[str] = [*draft.early, *draft.checks, *self.start()]

    def rest(self, one: Sequence[str], done: int) -> list[str]:
        """Return what follows the first `done` dependencies, whose lines are `one`."""
        self.before = one
        return self.body(self.draft.steps[done:])

    def _calls(self, steps: Sequence[Step]) -> list[str]:
        lines: list[str] = []
        if steps and not self.draft.late and all(map(goes_to_thread, (steps[-1], self.endpoint))):
            steps = [*steps, self.endpoint]
            self.called = True
        for threads, group in itertools.groupby(steps, goes_to_thread):
            if threads:
                lines += hop_of_calls(self.draft, list(group), [*self.before, *lines], scoped=self.scopes)
                continue
            for step in group:
                if step.node.kind == "async":
                    lines.append(f"{step.out} = await {call(self.draft, step)}")
                elif step.node.kind == "yield":
                    lines += hop_of_calls(self.draft, [step], [], scoped=self.scopes)
                else:
                    lines += self._begin(step)
        return lines

    def _begin(self, step: Step) -> list[str]:
        self.scopes = True
        name = name_of(step)
        return [
            f"{name} = {call(self.draft, step)}",
            "try:",
            f"    {step.out} = await anext({name})",
            "except StopAsyncIteration:",
            """    raise RuntimeError("generator didn't yield") from None""",
            begun(step),
        ]

    def _endpoint(self) -> list[str]:
        if self.endpoint.node.kind == "async":
            return [f"result = await {call(self.draft, self.endpoint)}"]
        if self.called:
            return []
        return hop_of_calls(self.draft, [self.endpoint], [], scoped=self.scopes)

    def _ends(self, name: str, steps: Sequence[Step]) -> list[str]:
        lines: list[str] = []
        for sync, group in itertools.groupby(reversed(steps), lambda step: step.node.kind == "yield"):
            if sync:
                lines += hop_of_ends(self.draft, name, list(group), scoped=self.scopes)
                continue
            for step in group:
                lines += [f"{name}.pop()", *self._end(step)]
        return lines

    def _end(self, step: Step) -> list[str]:
        return [
            "try:",
            f"    await anext({name_of(step)})",
            "except StopAsyncIteration:",
            "    pass",
            "else:",
            f"    await {self.bind(overrun, 'overrun')}({name_of(step)})",
        ]

    def _unwind(self, name: str) -> str:
        return f"await {self.bind(unwind_async, 'unwind_async')}({name}, error)"

    def body(self, steps: Sequence[Step]) -> list[str]:
        # The proxy as result: whatever was sent has been sent by it.
        return [*super().body(steps), "return proxy"]

    def _answer(self) -> list[str]:
        # What is sent within a scope of AnyIO's has to be, as in Starlette, in a task group that is below it.
        send = "response(proxy.scope(), proxy.receive, proxy.send)" if self.scopes else "proxy.sending(response)"
        # Scopes of AnyIO's that are open count for threads, too.
        around = [self.bind(in_scopes, "in_scopes")] if self.scopes else []
        # Nothing follows them, so no task waits for a thread.
        left = [f"    if {self.bind(only_sync, 'only_sync')}(later):", "        return proxy.leave_to_thread(later)"]
        return [
            self._later(),
            "if not proxy.answer(response):",
            f"    await {send}",
            "elif later is not None:",
            *([] if self.holds or self.scopes else left),
            f"    await {self.bind(run_tasks, 'run_tasks')}({', '.join(['proxy', 'later', *around])})",
        ]
