"""The text of routes that go on after their answer, under middleware.

The answer goes out through the middleware, so it is sent from the task in which
the middleware runs the route, which is also the one that hears of cancellation.
Therefore all is one coroutine there, whose sync calls are hops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anyio import CancelScope

from . import internals
from .afterwards import OnLoop
from .around import Shielded
from .draft import Draft, Step
from .hops import begun, name_of
from .lines import call, prologue
from .middleware.failures import deliver
from .middleware.reply import Reply
from .plans import Arg, Stage
from .response import Answer

__all__ = ["stages_under"]


def stages_under(draft: Draft, endpoint: Step, answer: Answer) -> tuple[tuple[Stage, ...], tuple[Arg, ...]]:
    """Return the stage of such a route, and its arguments."""
    draft.given("proxy")
    head = f"async def entry({', '.join(draft.arg_names)}):"
    lines = [*prologue(draft), *_Layered(draft, endpoint, answer).lines()]
    return (Stage(draft.source.function(head, lines), "loop", coroutine=True),), tuple(draft.args)


class _Layered(OnLoop):
    """The coroutine. Middleware may open scopes of AnyIO's around all of it, and Starlette's cancels by one.

    first: the dependency before which a scope of the route's own is entered, in releases that shield the ends of async
    ones by one.
    """

    def __init__(self, draft: Draft, endpoint: Step, answer: Answer) -> None:
        super().__init__(draft, endpoint, answer)
        self.scopes = True
        shielded = (
            [step for step in draft.steps if step.node.kind == "async yield"] if internals.shields_exits() else []
        )
        self.first = shielded[0] if shielded else None
        self.holds = self.holds or bool(shielded)
        self.before = [*draft.early, *draft.checks, *self.start()]

    def _begin(self, step: Step) -> list[str]:
        if self.first is None or step.node.kind != "async yield":
            return super()._begin(step)
        lines = []
        if step is self.first:
            lines = [
                f"scoped = {self.bind(CancelScope, 'CancelScope')}()",
                "scoped.__enter__()",
                "opened.append(scoped)",
            ]
        return [
            *lines,
            f"{name_of(step)} = {self.bind(Shielded, 'Shielded')}({call(self.draft, step)}, scoped)",
            f"{step.out} = await {name_of(step)}.begin()",
            begun(step),
        ]

    def _ends(self, name: str, steps: Sequence[Step]) -> list[str]:
        if self.first is None or name == "early":
            return super()._ends(name, steps)
        order = self.draft.steps.index
        outside = [step for step in steps if order(step) < order(self.first)]
        return [
            *super()._ends(name, [step for step in steps if step not in outside]),
            "opened.pop()",
            "scoped.__exit__(None, None, None)",
            *super()._ends(name, outside),
        ]

    def _end(self, step: Step) -> list[str]:
        if self.first is None or step.node.kind != "async yield":
            return super()._end(step)
        return [f"await {name_of(step)}.leave()"]

    def _answer(self) -> list[str]:
        send, status = self.bind(_send, "send"), self.answer.status
        return [self._later(), f"await {send}(proxy, response, later, {status})"]


async def _send(proxy: Any, made: Any, later: Any, status: int) -> None:
    """Send what `make` gave through the middleware, then work."""
    if made.__class__ is bytes:
        length = (b"content-length", b"%d" % len(made))
        made = Reply(status, [length, (b"content-type", b"application/json")], made, length)
        made.background = later
    await deliver(proxy, made, proxy.scope(), proxy.receive, proxy.send)
