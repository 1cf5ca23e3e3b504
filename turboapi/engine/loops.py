"""Which event loop a server runs on, and running one from its making to its close."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["factory", "kind", "run"]

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

    As asyncio.run, but signals are the caller's, and a thread that hangs in the loop's default
    executor is waited for only so long.
    """
    loop = make()
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main)
    finally:
        try:
            _cancel_all(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(_end_executor(loop))
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    for task in left:
        if not task.cancelled() and task.exception() is not None:
            what = "unhandled exception at the end of the loop"
            loop.call_exception_handler({"message": what, "exception": task.exception(), "task": task})


async def _end_executor(loop: asyncio.AbstractEventLoop) -> None:
    try:
        await asyncio.wait_for(loop.shutdown_default_executor(), _EXECUTOR_GRACE)
    except TimeoutError:
        _log.warning("A thread of the loop's default executor still runs after %g s.", _EXECUTOR_GRACE)
