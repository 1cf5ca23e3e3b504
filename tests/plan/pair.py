"""One application asked twice: through its own ASGI face, and through its plans."""

from __future__ import annotations

from typing import Any

from tests.faces import request as make
from tests.faces.loop import LoopThread
from tests.faces.oracle import Oracle
from tests.faces.reply import Reply, differences, explain
from tests.faces.request import Request
from tests.faces.trace import Trace
from tests.plan.simulated import Simulated

SERVER = ("127.0.0.1", 80)
CLIENT = ("127.0.0.1", 5000)


def own_plans(made: Any) -> tuple[Any, ...]:
    """The plans of an application's own routes."""
    return tuple(plan for plan in made.plans if not plan.name.startswith("fastapi.applications."))


class Pair:
    """Both faces of `app`, on one loop. Fails where they differ, in what `trace` noted too.

    `how` is what became of the last request on its plans: "compiled", "declined" (the entry left it to FastAPI),
    "odd" (the engine did), "static" or "fallback".
    """

    def __init__(self, app: Any, trace: Trace | None = None) -> None:
        self.app = app
        self.how = ""
        self._trace = trace or Trace()
        self._loop = LoopThread()
        self._own = Oracle(app, SERVER)
        self._plans = Simulated(app, SERVER)
        self._loop.run(self._own.startup())
        self._loop.run(self._plans.startup())

    @property
    def made(self) -> Any:
        """What was compiled, without the plans of FastAPI's own pages."""
        made = self._plans.made
        return made._replace(plans=own_plans(made))

    def outcome(self, path: str, method: str = "GET") -> str:
        """What the report says of a route."""
        (found,) = [
            each for each in self.made.report if each.path == path and (each.methods is None or method in each.methods)
        ]
        return found.outcome

    def ask(self, asked: Request) -> Reply:
        start = len(self._trace.notes())
        own = self._loop.run(self._own.ask(asked, CLIENT))
        middle = len(self._trace.notes())
        other = self._loop.run(self._plans.ask(asked, CLIENT))
        notes = self._trace.notes()
        self.how = self._plans.how
        found = differences(asked, own, other)
        told = self._plans.errors[-1] if self._plans.errors else ""
        assert not found, f"different: {', '.join(found)} ({self.how})\n{explain(asked, own, other, 'plans')}\n{told}"
        assert notes[start:middle] == notes[middle:], f"the trace differs ({self.how})"
        return other

    def close(self) -> None:
        self._loop.run(self._plans.shutdown())
        self._loop.run(self._own.shutdown())
        self._loop.close()

    def get(self, *args: Any, **more: Any) -> Reply:
        return self.ask(make.get(*args, **more))

    def post(self, *args: Any, **more: Any) -> Reply:
        return self.ask(make.post(*args, **more))

    def options(self, *args: Any, **more: Any) -> Reply:
        return self.ask(make.options(*args, **more))

    def head(self, *args: Any, **more: Any) -> Reply:
        return self.ask(make.head(*args, **more))

    def request(self, *args: Any, **more: Any) -> Reply:
        return self.ask(make.request(*args, **more))
