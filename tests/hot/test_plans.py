"""Plans and watches given to `_hot.Server`: nonsense is refused, and code that runs meanwhile may do anything."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faces.generate import always_these
from tests.hot.test_closing import bare
from turboapi.engine import _load
from turboapi.plan.plans import Arg, HotPlan, Stage

NOTHING = SimpleNamespace(lists=[], dicts=[], attrs=[])


def plan(**more: Any) -> HotPlan:
    values: dict[str, Any] = {
        "stages": (Stage(print, "loop", coroutine=False),),
        "args": (),
        "encode": None,
        "plain": True,
        "status": 200,
        "media": b"application/json",
        "name": "name",
    }
    return HotPlan(**{**values, **more})


@pytest.fixture
def server() -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    made, _ = bare(loop)
    yield made
    made.close()
    loop.close()


def test_plan_is_taken(server: Any) -> None:
    args = (Arg("slot", 0), Arg("proxy"), Arg("body", name="b"), Arg("const", default=3, name="c"))
    server.set_plans(1, [plan(args=args), plan(stages=(Stage(print, "call", coroutine=False),) * 8)], NOTHING)


@pytest.mark.parametrize(
    "wrong",
    [
        {"stages": ()},
        {"stages": [Stage(print, "loop", coroutine=False)]},
        {"stages": (Stage(print, "loop", coroutine=False),) * 9},
        {"stages": (None,)},
        {"stages": (Stage(print, "elsewhere", coroutine=False),)},  # type: ignore[arg-type]
        {"stages": (Stage(print, None, coroutine=False),)},  # type: ignore[arg-type]
        {"stages": (Stage(print, "call", coroutine=True),)},
        {"args": []},
        {"args": (None,)},
        {"args": (Arg("slot", -1),)},
        {"args": (Arg("slot", 2**40),)},
        {"args": (Arg("slot", 2**90),)},
        {"args": (Arg("slot", "1"),)},  # type: ignore[arg-type]
        {"args": (Arg("cookie"),)},  # type: ignore[arg-type]
        {"args": (Arg("body", name="b"), Arg("body"))},
        {"args": (Arg("body", name=3),)},  # type: ignore[arg-type]
        {"args": (Arg("body"),) * 257},
        {"status": 99},
        {"status": 1000},
        {"status": 2**70},
        {"status": "200"},
        {"media": "application/json"},
        {"name": b"name"},
    ],
    ids=repr,
)
def test_plan_that_is_none_is_refused_and_the_others_stay(server: Any, wrong: dict[str, Any]) -> None:
    good = plan()
    server.set_plans(1, [good], NOTHING)
    with pytest.raises((TypeError, ValueError, AttributeError, OverflowError)):
        server.set_plans(2, [good, plan(**wrong), good], NOTHING)
    server.turn()


@pytest.mark.parametrize("plans", [None, 3, [None], "ab", (x for x in [1])], ids=repr)
def test_plans_that_are_none(server: Any, plans: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        server.set_plans(1, plans, NOTHING)


@pytest.mark.parametrize(
    "watch",
    [
        3,
        SimpleNamespace(lists=[]),
        SimpleNamespace(lists=[()], dicts=[], attrs=[]),
        SimpleNamespace(lists=[], dicts=[[]], attrs=[]),
        SimpleNamespace(lists=[], dicts=[], attrs=[3]),
        SimpleNamespace(lists=[], dicts=[], attrs=[(1, 2, 3)]),
        SimpleNamespace(lists=None, dicts=[], attrs=[]),
    ],
    ids=repr,
)
def test_watch_that_is_none(server: Any, watch: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        server.set_plans(1, [], watch)


def test_attribute_whose_name_is_none_is_as_good_as_absent(server: Any) -> None:
    server.set_plans(1, [], SimpleNamespace(lists=[], dicts=[], attrs=[(server, 3)]))
    server.turn()


class Changes:
    """Counts on_change."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self) -> None:
        self.n += 1


@pytest.fixture
def watched() -> Iterator[tuple[Any, Changes]]:
    loop, changes = asyncio.new_event_loop(), Changes()
    made, _ = bare(loop, on_change=changes)
    yield made, changes
    made.close()
    loop.close()


def turns(server: Any, changes: Changes) -> int:
    before = changes.n
    server.turn()
    return changes.n - before


def test_each_change_is_seen(watched: tuple[Any, Changes]) -> None:
    server, changes = watched
    one, two = ["a", "b"], {"k": 1, "l": 2}
    thing = SimpleNamespace(x=1)

    def watch() -> None:
        server.set_plans(
            1, [], SimpleNamespace(lists=[one], dicts=[two], attrs=[(thing, "x"), (thing, "gone"), (thing, "y")])
        )
        assert turns(server, changes) == 0

    def change(what: Any) -> None:
        watch()
        what()
        assert turns(server, changes) == 1

    change(lambda: one.append("c"))
    change(lambda: one.pop())
    change(lambda: one.reverse())
    change(lambda: one.clear())
    change(lambda: one.append("a"))
    change(lambda: two.update(k=3))
    change(lambda: two.update(n=3))
    change(lambda: two.pop("k"))
    change(lambda: two.update({"l": two.pop("l")}))
    change(lambda: two.clear())
    change(lambda: setattr(thing, "x", 2))
    change(lambda: setattr(thing, "y", 2))
    change(lambda: delattr(thing, "y"))
    watch()


def test_attribute_whose_code_replaces_the_watches(watched: tuple[Any, Changes]) -> None:
    server, changes = watched

    class Replaces:
        asked = 0

        @property
        def x(self) -> Any:
            Replaces.asked += 1
            if Replaces.asked > 1:
                server.set_plans(2, [], SimpleNamespace(lists=[[1]], dicts=[], attrs=[]))
                gc.collect()
            return Replaces

    many = [(Replaces(), "x"), *[(Replaces(), "asked") for _ in range(100)]]
    server.set_plans(1, [], SimpleNamespace(lists=[], dicts=[], attrs=many))
    del many
    assert turns(server, changes) == 0
    assert turns(server, changes) == 0


def test_plans_whose_end_gives_new_ones(server: Any) -> None:
    class Last:
        def __call__(self) -> None: ...

        def __del__(self) -> None:
            server.set_plans(3, [plan()] * 5, SimpleNamespace(lists=[[Last]], dicts=[], attrs=[]))

    server.set_plans(1, [plan(stages=(Stage(Last(), "loop", coroutine=False),))], NOTHING)
    server.set_plans(2, [plan()], NOTHING)
    gc.collect()
    server.turn()


def test_plans_that_grow_while_they_are_read(server: Any) -> None:
    class Grows:
        stages = (Stage(print, "loop", coroutine=False),)
        args = ()
        encode = None
        plain = True
        status = 200
        media = b""
        inner = None

        @property
        def name(self) -> str:
            plans.extend([plan()] * 1000)
            return "name"

    plans: list[Any] = [Grows()]
    server.set_plans(1, plans, NOTHING)
    server.turn()


@given(st.lists(st.sampled_from(["append", "pop", "clear", "reverse", "set"]), max_size=8), st.booleans())
@always_these(60)
def test_lists_and_dicts_changed_at_random(ops: list[str], in_dict: bool) -> None:
    loop, changes = asyncio.new_event_loop(), Changes()
    server, _ = bare(loop, on_change=changes)
    held: Any = {1: "a", 2: "b"} if in_dict else ["a", "b"]
    server.set_plans(1, [], SimpleNamespace(lists=[] if in_dict else [held], dicts=[held] if in_dict else [], attrs=[]))
    before = list(held.items()) if in_dict else list(held)
    for n, op in enumerate(ops):
        match op:
            case "clear":
                held.clear()
            case "append" if in_dict:
                held[n] = "new"
            case "append":
                held.append("new")
            case "pop" if held:
                held.popitem() if in_dict else held.pop()
            case "reverse" if not in_dict:
                held.reverse()
            case "set" if held:
                held[next(iter(held)) if in_dict else 0] = object()
    after = list(held.items()) if in_dict else list(held)
    same = len(before) == len(after) and all(
        a is b or (in_dict and a[0] is b[0] and a[1] is b[1]) for a, b in zip(before, after, strict=True)
    )
    server.turn()
    assert changes.n == (0 if same else 1)
    server.close()
    loop.close()


def test_types_cannot_be_made_by_hand() -> None:
    hot = _load.hot()
    for name in ("Exchange", "Plan", "Ready", "Pending", "Job"):
        kind = getattr(hot, name)
        with pytest.raises(TypeError):
            kind()
        with pytest.raises(TypeError):
            object.__new__(kind)
