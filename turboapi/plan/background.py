"""Background tasks after the answer: in order, one after the other, sync ones on a thread."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context
from functools import partial
from typing import Any

import fastapi
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.responses import Response

from .internals import own_function

__all__ = ["finish_tasks", "later", "only_sync", "run_tasks", "run_tasks_here"]


def _own(*functions: Any) -> tuple[Any, ...]:
    return tuple(each for each in functions if own_function(each))


# Somebody may replace or override them, before this is read or after it; such tasks are awaited as they are.
_ONE = _own(BackgroundTask.__call__)
# FastAPI's own, in newer releases, tells its telemetry; with telemetry on there are no plans.
_MANY = _own(BackgroundTasks.__call__, fastapi.BackgroundTasks.__call__)


def later(made: Any, tasks: Any) -> Any:
    """Return what runs after an answer: a response's own background, else the tasks that were handed in."""
    if not isinstance(made, Response):
        return tasks
    if made.background is None:
        made.background = tasks
    return made.background


def only_sync(tasks: Any) -> bool:
    """Tell whether a thread can run all tasks, one after the other, and nothing awaits between them."""
    return all(map(_for_thread, tasks.tasks if type(tasks).__call__ in _MANY else (tasks,)))


def _for_thread(task: Any) -> bool:
    return type(task).__call__ in _ONE and not task.is_async


def run_tasks_here(tasks: Any, context: Context) -> Iterator[Any] | None:
    """Run sync tasks on this thread, each in its own copy of the context.

    Returns None, or what is left where one has to run on the loop. The list may grow while it runs.
    """
    cls = type(tasks)
    remaining: Iterator[Any] = iter(tasks.tasks if cls.__call__ in _MANY else (tasks,))
    for task in remaining:
        if not _for_thread(task):
            return itertools.chain((task,), remaining)
        try:
            context.copy().run(task.func, *task.args, **task.kwargs)
        except StopIteration as stop:
            # What awaits a thread cannot raise it.
            raise RuntimeError("coroutine raised StopIteration") from stop
    return None


async def run_tasks(proxy: Any, tasks: Any, around: Callable[..., Awaitable[Any]] | None = None) -> None:
    """Run tasks from the loop, sync ones on the call lane. around(run, function, ...): what is awaited for those."""
    hop = proxy.run if around is None else partial(around, proxy.run)
    for task in tasks.tasks if type(tasks).__call__ in _MANY else (tasks,):
        if type(task).__call__ not in _ONE:
            await task()
        elif task.is_async:
            await task.func(*task.args, **task.kwargs)
        else:
            await hop(task.func, *task.args, **task.kwargs)


async def finish_tasks(remaining: Iterator[Any]) -> None:
    """Run on the loop what `run_tasks_here` has left."""
    for task in remaining:
        await task()
