"""Which event loop a server runs on, and running one from its making to its close."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["factory", "kind", "run"]

# Tasks that were cancelled get so long to end when the loop ends. One that swallows its cancellation never does.
_TASK_GRACE = 5.0
# Threads of the loop's default executor get so long to finish when the loop ends.
_EXECUTOR_GRACE = 5.0

_log = logging.getLogger("turboapi.error")


def factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes loops of the kind `name`: auto, uvloop or asyncio.

    auto is uvloop where it is installed. Raises ImportError for uvloop where it is not.
    """
    if name in ("auto", "uvloop"):
        try:
            import uvloop
        except ImportError as error:
            if name == "uvloop":
                message = "loop='uvloop': uvloop is not installed; pip install uvloop"
                raise ImportError(message, name="uvloop") from error
        else:
            return uvloop.new_event_loop
    return asyncio.new_event_loop


def kind(loop: asyncio.AbstractEventLoop) -> str:
    """Return the name of a loop's kind for people: uvloop, asyncio, or its module."""
    return type(loop).__module__.partition(".")[0]


def run(make: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, None]) -> None:
    """Run `main` on a new loop, cancel what it left behind, and close the loop.

    As asyncio.run, but signals are the caller's, a thread that hangs in the loop's default executor is waited
    for only so long, and SystemExit or KeyboardInterrupt of another task cancels `main`, which may
    take its time to end, before it comes out.
    """
    loop = make()
    # Ours, because a loop's own cannot be waited for with a time limit on every Python.
    executor = ThreadPoolExecutor(thread_name_prefix="asyncio")
    loop.set_default_executor(executor)
    try:
        asyncio.set_event_loop(loop)
        _run_to_its_end(loop, loop.create_task(main))
    finally:
        try:
            _cancel_all(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            if loop.run_until_complete(_end_executor(executor)):
                # Where the application has put in its own, that one is waited for as asyncio.run does.
                loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _run_to_its_end(loop: asyncio.AbstractEventLoop, main: asyncio.Task[None]) -> None:
    asked: BaseException | None = None
    while not main.done():
        try:
            loop.run_until_complete(main)
        except (SystemExit, KeyboardInterrupt) as error:
            if main.done():
                raise
            # It left the loop from another task's step, with main in the middle of something.
            if asked is None or isinstance(error, KeyboardInterrupt):
                main.cancel()
            asked = asked or error
        except BaseException:
            if asked is None:
                raise
    if asked is not None:
        raise asked


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        _, deaf = loop.run_until_complete(asyncio.wait(left, timeout=_TASK_GRACE))
        for task in deaf:
            # Its text only: a log record that is kept must not keep the task.
            what = repr(task)
            _log.warning("A task goes on although it was cancelled %g s ago; it is left alone: %s", _TASK_GRACE, what)
        left -= deaf
    for task in left:
        if not task.cancelled() and task.exception() is not None:
            what = "unhandled exception at the end of the loop"
            loop.call_exception_handler({"message": what, "exception": task.exception(), "task": task})


async def _end_executor(executor: ThreadPoolExecutor) -> bool:
    """Wait for the executor's threads, which may still need the loop; return whether they ended in time."""
    ended = threading.Event()

    def wait() -> None:
        executor.shutdown()
        ended.set()

    threading.Thread(target=wait, name="turboapi-executor-end", daemon=True).start()
    deadline = time.monotonic() + _EXECUTOR_GRACE
    while not ended.is_set() and time.monotonic() < deadline:  # noqa: ASYNC110 (set by a thread)
        await asyncio.sleep(0.001)
    if not ended.is_set():
        _log.warning("A thread of the loop's default executor still runs after %g s.", _EXECUTOR_GRACE)
    return ended.is_set()
