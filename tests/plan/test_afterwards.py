"""The shape of routes that go on after their answer: lanes, hops, and what the text leaves out."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI

from tests.faces.trace import Trace
from tests.plan.pair import Pair
from turboapi.plan.around import gives_generator

Both = Callable[[Any], Pair]


def sync_yield() -> Iterator[int]:
    yield 1


def sync_call() -> int:
    return 2


def fresh(kind: str) -> Callable[[], Any]:
    """A dependency that FastAPI does not take for another one."""

    def y() -> Iterator[int]:
        yield 1

    async def big_y() -> AsyncIterator[int]:
        yield 2

    def s() -> int:
        return 3

    async def a() -> int:
        return 4

    return {"y": y, "Y": big_y, "s": s, "a": a}[kind]


def route(order: str, *, threaded: bool = False) -> FastAPI:
    """An application whose one route has these dependencies, and an endpoint of its own kind."""
    app = FastAPI()

    def endpoint() -> str:
        return order

    async def async_endpoint() -> str:
        return order

    made = [Depends(fresh(kind)) for kind in order]
    app.get("/", dependencies=made)(endpoint if threaded else async_endpoint)
    return app


def text(pair: Pair) -> str:
    (plan,) = [plan for plan in pair.made.plans if "test_afterwards" in plan.name]
    return "".join(inspect.getsource(stage.call) for stage in plan.stages)


@pytest.mark.parametrize(
    ("order", "threaded", "lanes", "hops"),
    [
        ("y", True, ["call"], 0),
        ("sys", True, ["call"], 0),
        ("Y", False, ["loop"], 0),
        ("aY", False, ["loop"], 0),
        ("y", False, ["call", "loop"], 1),  # its end
        ("sy", False, ["call", "loop"], 1),
        ("yy", False, ["call", "loop"], 1),  # both ends together
        ("Ys", False, ["loop"], 1),
        ("Yss", False, ["loop"], 1),
        ("Yy", False, ["loop"], 2),
        ("asYss", False, ["loop"], 2),
        ("Y", True, ["loop"], 1),  # the endpoint
    ],
)
def test_calls_stand_on_as_few_lanes_as_can_be(
    both: Both, order: str, threaded: bool, lanes: list[str], hops: int
) -> None:
    pair = both(route(order, threaded=threaded))
    (plan,) = [plan for plan in pair.made.plans if "test_afterwards" in plan.name]
    assert [stage.lane for stage in plan.stages] == lanes
    assert text(pair).count("proxy.run") == hops
    assert pair.get("/").json() == order
    assert pair.how == "compiled"


def test_only_what_follows_an_open_async_dependency_minds_scopes(both: Both) -> None:
    assert "In_scopes" not in text(both(route("asya")))
    assert "In_scopes(proxy.run, " in text(both(route("Ys")))


def test_tasks_that_nobody_adds_cost_nothing(both: Both, trace: Trace) -> None:
    app = FastAPI()

    @app.get("/")
    def endpoint(tasks: BackgroundTasks, add: bool = False) -> bool:
        if add:
            tasks.add_task(trace, "background")
        return add

    pair = both(app)
    assert "if not tasks.tasks:\n        return result\n" in text(pair)
    assert pair.get("/").json() is False
    assert pair.get("/?add=true").json() is True
    assert trace.notes() == ["background", "background"]


def test_only_tasks_that_nothing_follows_are_left_to_a_thread(both: Both, trace: Trace) -> None:
    app = FastAPI()

    async def add(tasks: BackgroundTasks, kinds: str) -> None:
        async def coroutine() -> None:
            trace("async")

        for kind in kinds:
            tasks.add_task(coroutine if kind == "a" else trace, *([] if kind == "a" else ["sync"]))

    @app.get("/")
    async def endpoint(tasks: BackgroundTasks, kinds: str) -> None:
        await add(tasks, kinds)

    @app.get("/depends", dependencies=[Depends(fresh("Y"))])
    async def with_end(tasks: BackgroundTasks, kinds: str) -> None:
        await add(tasks, kinds)

    pair = both(app)
    plans = {plan.name.rpartition(".")[2]: inspect.getsource(plan.stages[-1].call) for plan in pair.made.plans}
    assert "leave_to_thread" in plans["endpoint"]
    assert "leave_to_thread" not in plans["with_end"]
    for path in ("/", "/depends"):
        for kinds in ("s", "ss", "sas", "as"):
            pair.get(f"{path}?kinds={kinds}")
            assert pair.how == "compiled"


class Callables:
    def method(self) -> Iterator[int]:
        yield 1

    def __call__(self) -> Iterator[int]:
        yield 2


def gives_one() -> Iterator[int]:
    return sync_yield()


def test_only_plain_generators_are_made_anywhere() -> None:
    one = Callables()
    plain = [sync_yield, one.method, one, functools.partial(sync_yield), functools.partial(one.method)]
    assert all(gives_generator(call) for call in plain)
    assert not any(gives_generator(call) for call in [gives_one, fresh("Y"), sync_call, len, functools.wraps])
