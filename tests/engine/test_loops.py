"""Running a loop from its making to its close."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest

from turboapi.engine import loops


def test_auto_is_uvloop_where_it_is_installed() -> None:
    uvloop = pytest.importorskip("uvloop")
    loop = loops.factory("auto")()
    assert isinstance(loop, uvloop.Loop)
    assert loops.kind(loop) == "uvloop"
    loop.close()


def test_auto_is_asyncio_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = loops.factory("auto")()
    assert loops.kind(loop) == "asyncio"
    loop.close()
    with pytest.raises(ImportError, match="uvloop is not installed"):
        loops.factory("uvloop")


def test_tasks_left_behind_are_cancelled_and_the_loop_is_closed(loop_name: str) -> None:
    notes: list[str] = []
    seen: list[asyncio.AbstractEventLoop] = []

    async def left() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            notes.append("cancelled")

    async def main() -> None:
        seen.append(asyncio.get_running_loop())
        tasks.add(asyncio.ensure_future(left()))
        await asyncio.sleep(0)

    tasks: set[object] = set()
    loops.run(loops.factory(loop_name), main())
    assert notes == ["cancelled"]
    assert seen[0].is_closed()


def test_generators_left_open_are_closed() -> None:
    notes: list[str] = []

    async def numbers() -> object:  # type: ignore[misc]
        try:
            yield 1
            yield 2
        finally:
            notes.append("closed")

    async def main() -> None:
        held.append(numbers())
        await anext(held[0])

    held: list[object] = []  # type: ignore[type-arg]
    loops.run(loops.factory("asyncio"), main())
    assert notes == ["closed"]


def test_exception_of_main_comes_out_and_the_loop_is_closed() -> None:
    seen: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        seen.append(asyncio.get_running_loop())
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        loops.run(loops.factory("asyncio"), main())
    assert seen[0].is_closed()


@pytest.mark.parametrize("asked", [SystemExit(3), KeyboardInterrupt()])
def test_exit_of_another_task_lets_main_end_first(loop_name: str, asked: BaseException) -> None:
    notes: list[str] = []

    async def leaves() -> None:
        raise asked

    async def main() -> None:
        tasks.append(asyncio.ensure_future(leaves()))
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            notes.append("ended")

    tasks: list[object] = []
    with pytest.raises(type(asked)) as caught:
        loops.run(loops.factory(loop_name), main())
    assert caught.value is asked
    assert notes == ["ended"]


def test_threads_of_the_default_executor_end(loop_name: str) -> None:
    async def main() -> None:
        await asyncio.to_thread(lambda: None)

    before = threading.active_count()
    loops.run(loops.factory(loop_name), main())
    # Fewer where one of an earlier test has ended meanwhile.
    assert threading.active_count() <= before


def test_thread_that_hangs_in_the_executor_is_waited_for_only_so_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loops, "_EXECUTOR_GRACE", 0.05)
    free = threading.Event()

    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, free.wait)

    try:
        loops.run(loops.factory("asyncio"), main())
        assert "still runs" in caplog.text
    finally:
        free.set()
