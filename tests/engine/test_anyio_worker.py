"""Call threads as AnyIO workers, without an engine: `work` stands for the lane."""

from __future__ import annotations

import asyncio
import contextvars
import math
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from turboapi.engine import loops
from turboapi.engine.anyio_worker import Workers

# Before AnyIO 4.1 there is none.
check_cancelled: Any = getattr(anyio.from_thread, "check_cancelled", None)


def on_loop(loop_name: str, main: Callable[[Workers], Awaitable[None]]) -> None:
    async def outer() -> None:
        await main(Workers(asyncio.get_running_loop()))

    loops.run(loops.factory(loop_name), outer())


async def in_thread(workers: Workers, work: Callable[[], Any]) -> Any:
    """Run `work` on a new thread as the call lane does, and give back what came of it."""
    out: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def keep() -> None:
        try:
            result, error = work(), None
        except BaseException as raised:
            result, error = None, raised
        settle = (lambda: out.set_exception(error)) if error else (lambda: out.set_result(result))
        out.get_loop().call_soon_threadsafe(settle)

    thread = threading.Thread(target=workers.run, args=(keep,))
    thread.start()
    try:
        return await out
    finally:
        thread.join()


def test_from_thread_run_awaits_on_the_loop(loop_name: str) -> None:
    async def main(workers: Workers) -> None:
        home = threading.get_ident()

        async def where(number: int) -> tuple[int, int]:
            await anyio.sleep(0)
            return threading.get_ident(), number

        assert await in_thread(workers, lambda: anyio.from_thread.run(where, 5)) == (home, 5)

    on_loop(loop_name, main)


def test_from_thread_run_sync_calls_on_the_loop(loop_name: str) -> None:
    async def main(workers: Workers) -> None:
        assert (
            await in_thread(workers, lambda: anyio.from_thread.run_sync(threading.get_ident)) == threading.get_ident()
        )

    on_loop(loop_name, main)


def test_cancel_scopes_work_in_what_is_awaited(loop_name: str) -> None:
    async def main(workers: Workers) -> None:
        async def gives_up() -> bool:
            with anyio.move_on_after(0.001) as scope:
                await anyio.sleep(60)
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 0)
            return bool(getattr(scope, "cancelled_caught", scope.cancel_called))

        assert await in_thread(workers, lambda: anyio.from_thread.run(gives_up)) is True

    on_loop(loop_name, main)


def test_exception_of_what_is_awaited_comes_to_the_handler() -> None:
    async def main(workers: Workers) -> None:
        async def fails() -> None:
            raise ValueError("mine")

        with pytest.raises(ValueError, match="mine"):
            await in_thread(workers, lambda: anyio.from_thread.run(fails))

    on_loop("asyncio", main)


@pytest.mark.skipif(check_cancelled is None, reason="this AnyIO has no check_cancelled")
def test_check_cancelled_raises_once_the_server_cancels(loop_name: str) -> None:
    async def main(workers: Workers) -> None:
        await in_thread(workers, check_cancelled)
        workers.cancel()
        with pytest.raises((CancelledError, asyncio.CancelledError)):
            await in_thread(workers, check_cancelled)

    on_loop(loop_name, main)


@pytest.mark.skipif(check_cancelled is None, reason="this AnyIO has no check_cancelled")
def test_thread_that_starts_after_the_server_has_cancelled_is_cancelled_too(loop_name: str) -> None:
    async def main(workers: Workers) -> None:
        workers.cancel()
        await in_thread(workers, lambda: None)
        with pytest.raises((CancelledError, asyncio.CancelledError)):
            await in_thread(workers, check_cancelled)

    on_loop(loop_name, main)


def test_library_of_the_thread_is_none_and_context_is_its_own() -> None:
    var = contextvars.ContextVar("var", default=0)

    async def main(workers: Workers) -> None:
        def work() -> bool:
            var.set(var.get() + 1)
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            return True

        assert await in_thread(workers, work)
        assert await in_thread(workers, var.get) == 0
        assert var.get() == 0

    on_loop("asyncio", main)


def test_thread_is_no_worker_afterwards() -> None:
    async def main(workers: Workers) -> None:
        def run_then_look() -> None:
            workers.run(lambda: None)
            with pytest.raises(RuntimeError):
                anyio.from_thread.run_sync(int)

        await asyncio.to_thread(run_then_look)

    on_loop("asyncio", main)


@pytest.mark.parametrize(("total", "limit"), [(40, None), (7, 7), (100, 100), (math.inf, 10_000)])
def test_limit_is_what_the_application_gave_anyio(total: float, limit: int | None) -> None:
    async def main(workers: Workers) -> None:
        assert workers.limit() is None
        anyio.to_thread.current_default_thread_limiter().total_tokens = total
        assert workers.limit() == limit

    on_loop("asyncio", main)


def test_limit_is_seen_by_a_callback_that_runs_in_no_task() -> None:
    async def main(workers: Workers) -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 7
        loop = asyncio.get_running_loop()
        seen: asyncio.Future[int | None] = loop.create_future()
        loop.call_soon(lambda: seen.set_result(workers.limit()))
        assert await seen == 7

    on_loop("asyncio", main)


def test_anyio_that_is_not_understood_costs_only_its_own_feature(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from anyio._core import _eventloop

    monkeypatch.delattr(_eventloop, "claim_worker_thread")

    async def main(workers: Workers) -> None:
        assert await in_thread(workers, lambda: 5) == 5
        assert workers.limit() is None
        workers.cancel()

    on_loop("asyncio", main)
    assert "anyio.from_thread does not work" in caplog.text


def test_anyio_is_not_imported_for_an_application_that_does_without(python: Callable[..., Any]) -> None:
    python(
        "import asyncio, sys\n"
        "from turboapi.engine.anyio_worker import Workers\n"
        "async def main():\n"
        "    workers = Workers(asyncio.get_running_loop())\n"
        "    workers.run(lambda: None)\n"
        "    workers.cancel()\n"
        "    assert workers.limit() is None\n"
        "asyncio.run(main())\n"
        "assert 'anyio' not in sys.modules\n"
    )


def test_backend_of_anyio_is_not_imported_before_the_first_call_thread(python: Callable[..., Any]) -> None:
    python(
        "import asyncio, sys, threading\n"
        "import anyio, anyio.from_thread\n"
        "from turboapi.engine.anyio_worker import Workers\n"
        "async def main():\n"
        "    workers = Workers(asyncio.get_running_loop())\n"
        "    assert workers.limit() is None\n"
        "    assert 'anyio._backends._asyncio' not in sys.modules\n"
        "    got = []\n"
        "    work = lambda: got.append(anyio.from_thread.run_sync(threading.get_ident))\n"
        "    await asyncio.to_thread(workers.run, work)\n"
        "    assert got == [threading.get_ident()]\n"
        "    assert workers.limit() is None\n"
        "asyncio.run(main())\n"
    )
