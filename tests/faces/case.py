"""The table of handwritten applications: one feature each, with the requests that show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import fastapi

from .both import Both
from .request import Request
from .trace import Trace


@dataclass(frozen=True, slots=True)
class Settled:
    """A request to repeat until it runs from a plan, after something has changed."""

    status: int
    asked: Request


# A status and a request that must get it; or something to do to both applications while they run.
Step = tuple[int | set[int], Request] | Settled | Callable[[Any], None]

EVERYTHING = frozenset({"*"})
CASES: dict[str, Case] = {}


@dataclass(frozen=True, slots=True)
class Case:
    """One application and what is asked of it.

    `fallback` names the routes that need not be compiled ("GET /path", or "*" for all); every other route of the
    application must be. `wild` says that it may be asked anything, `steady` that its answers depend on nothing but
    the request. `since` is the FastAPI release that brought the feature and what it is called.
    """

    name: str
    subject: str
    factory: Callable[[Trace], Any]
    steps: tuple[Step, ...]
    fallback: frozenset[str]
    since: tuple[str, str] | None
    mask: tuple[bytes, ...]
    wild: bool
    steady: bool

    @property
    def missing(self) -> str | None:
        """Why this FastAPI cannot run the case, or None."""
        if self.since is None or version(fastapi.__version__) >= version(self.since[0]):
            return None
        return f"{self.since[1]} came with FastAPI {self.since[0]}, this is {fastapi.__version__}"

    def both(self, transport: str) -> Both:
        return Both(self.factory, transport, mask=self.mask)

    def requests(self) -> int:
        return sum(1 for step in self.steps if isinstance(step, tuple))


def version(text: str) -> tuple[int, ...]:
    """The first three numbers of a release."""
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in text.split(".")[:3])


def case(
    steps: Sequence[Step],
    *,
    fallback: Iterable[str] = (),
    since: tuple[str, str] | None = None,
    mask: Iterable[bytes] = (),
    wild: bool = True,
    steady: bool = True,
) -> Callable[[Callable[[Trace], Any]], Callable[[Trace], Any]]:
    """Put an application's factory into the table, under the function's name."""

    def enter(factory: Callable[[Trace], Any]) -> Callable[[Trace], Any]:
        name = factory.__name__
        subject = factory.__module__.rpartition(".")[2]
        if f"{subject}.{name}" in CASES:
            raise ValueError(f"two cases of {subject!r} are called {name!r}")
        CASES[f"{subject}.{name}"] = Case(
            name, subject, factory, tuple(steps), frozenset(fallback), since, tuple(mask), wild, steady and wild
        )
        return factory

    return enter


def run(step: Step, both: Both) -> None:
    """Take one step on both faces."""
    if isinstance(step, Settled):
        wanted, asked = step.status, step.asked
        reply = both.settle(asked)
    elif isinstance(step, tuple):
        wanted, asked = step
        reply = both.ask(asked)
    else:
        both.change(step)
        return
    allowed = wanted if isinstance(wanted, set) else {wanted}
    if reply.status not in allowed:
        raise AssertionError(
            f"both faces agree, but the case expects {wanted}: {asked.method!r} {asked.target!r} "
            f"answers {reply.status} {reply.body[:400]!r}"
        )
