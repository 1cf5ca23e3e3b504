"""Dependencies with `yield` while a request runs: their beginning, their end, and their share of an exception.

Where nothing goes wrong the generated text steps the generators by itself. Where
something does, contextlib does what FastAPI has it do: the rules of exit stacks and
generators (what is raised, swallowed, or chained to what) stay those of Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from contextvars import Context
from functools import partial
from inspect import CO_GENERATOR, getattr_static
from types import AsyncGeneratorType, FunctionType, MethodType
from typing import Any

import anyio.to_thread
from anyio import CancelScope, CapacityLimiter
from anyio.lowlevel import checkpoint_if_cancelled
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from . import internals
from .background import finish_tasks, run_tasks, run_tasks_here

__all__ = [
    "Shielded",
    "Tail",
    "enter",
    "gives_generator",
    "in_scopes",
    "leave",
    "overrun",
    "push_exit",
    "unwind",
    "unwind_async",
    "work_here",
]


def gives_generator(call: Any) -> bool:
    """Tell whether calling makes a generator and runs nothing of it yet, nor anything else."""
    while isinstance(call, partial):
        call = call.func
    if not isinstance(call, (FunctionType, MethodType)):
        call = getattr_static(type(call), "__call__", None)
    if isinstance(call, MethodType):
        call = call.__func__
    return isinstance(call, FunctionType) and bool(call.__code__.co_flags & CO_GENERATOR)


def enter(generator: Any) -> Any:
    """Run a sync dependency up to its `yield`; return what it yields."""
    try:
        return next(generator)
    except StopIteration:
        raise RuntimeError("generator didn't yield") from None


def leave(generator: Any) -> None:
    """Run a sync dependency to its end."""
    try:
        next(generator)
    except StopIteration:
        return
    try:
        raise RuntimeError("generator didn't stop")
    finally:
        generator.close()


async def in_scopes(run: Any, /, *arguments: Any, **keywords: Any) -> Any:
    """Run a hop as AnyIO runs threads: not begun in a scope that is cancelled, and not cancelled by one."""
    await checkpoint_if_cancelled()
    with CancelScope(shield=True):
        return await run(*arguments, **keywords)


async def overrun(generator: Any) -> None:
    """End an async dependency that yields twice."""
    try:
        raise RuntimeError("generator didn't stop")
    finally:
        await generator.aclose()


def unwind(opened: Sequence[Any], exc: BaseException, context: Context) -> None:
    """Tell sync dependencies of an exception, the last first, each in its own copy of the context.

    Returns where one of them has swallowed it, raises what comes out otherwise.
    """
    if not isinstance(exc, Exception) and not internals.exits_always():
        raise exc
    with ExitStack() as stack:
        for generator in opened:
            stack.push(_Exit(generator, context))
        raise exc


async def unwind_async(opened: Sequence[Any], exc: BaseException) -> None:
    """`unwind` for dependencies of both kinds, from the loop."""
    async with AsyncExitStack() as stack:
        for generator in opened:
            push_exit(stack, generator)
        raise exc


def push_exit(stack: AsyncExitStack, generator: Any) -> None:
    """Put the end of a dependency that has begun on an exit stack."""
    if isinstance(generator, AsyncGeneratorType):
        stack.push_async_exit(asynccontextmanager(lambda: generator)())
    elif isinstance(generator, Shielded):
        stack.push_async_exit(generator)
    elif isinstance(generator, CancelScope):
        stack.push(generator)
    else:
        stack.push_async_exit(_ThreadExit(generator))


class Shielded:
    """An async dependency whose end is not interrupted by scopes outside of the route, as newer FastAPI has it.

    scope: one of the route's own, which was entered before its first async dependency.
    """

    __slots__ = ("_generator", "_scope")

    def __init__(self, generator: Any, scope: CancelScope) -> None:
        self._generator = generator
        self._scope = scope

    async def begin(self) -> Any:
        """Run up to the `yield`; return what it yields."""
        try:
            return await anext(self._generator)
        except StopAsyncIteration:
            raise RuntimeError("generator didn't yield") from None

    async def leave(self) -> None:
        """Run to the end."""
        self._scope.shield = True
        try:
            await anext(self._generator)
        except StopAsyncIteration:
            pass
        else:
            await overrun(self._generator)
        finally:
            self._scope.shield = False
        await checkpoint_if_cancelled()

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *exc_info: object) -> bool | None:
        manager: Any = asynccontextmanager(lambda: self._generator)()
        self._scope.shield = True
        try:
            swallowed: bool | None = await manager.__aexit__(*exc_info)
        finally:
            self._scope.shield = False
        if swallowed:
            await checkpoint_if_cancelled()
        return swallowed


class _Exit:
    """The end of a sync dependency on this thread, as a context manager that was entered before."""

    def __init__(self, generator: Any, context: Context) -> None:
        self._generator = generator
        self._context = context

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc_info: object) -> bool | None:
        return bool(self._context.copy().run(_manager(self._generator).__exit__, *exc_info))


class _ThreadExit:
    """The same from the loop, as FastAPI calls it."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *exc_info: object) -> bool:
        exc = exc_info[1]
        if exc is not None and not isinstance(exc, Exception) and not internals.exits_always():
            return False
        return bool(await _in_thread(_manager(self._generator).__exit__, *exc_info))


class _LaneExit(_ThreadExit):
    """The same on the call lane, where nothing has gone wrong."""

    def __init__(self, generator: Any, proxy: Any) -> None:
        super().__init__(generator)
        self._proxy = proxy

    async def __aexit__(self, *exc_info: object) -> bool:
        if exc_info[1] is not None:
            return await super().__aexit__(*exc_info)
        await self._proxy.run_beyond(leave, self._generator)
        return False


def _manager(generator: Any) -> Any:
    return contextmanager(lambda: generator)()


async def _in_thread(call: Any, *args: Any) -> Any:
    # A limiter of its own: who waits for what this gives back may be holding all the others' tokens.
    with CancelScope(shield=internals.exits_always()):
        return await anyio.to_thread.run_sync(call, *args, limiter=CapacityLimiter(1))


class Tail(Response):
    """What a call thread leaves to the loop: the rest of an exchange, as a response that sends itself.

    made: what is sent (bytes or a response), None where it has been. tasks: background work that goes with it, or an
    iterator over what is left of it. opened: dependencies that end afterwards, in the order in which they began.
    """

    def __init__(self, proxy: Any, made: Any, tasks: Any, opened: Sequence[Any]) -> None:
        self._proxy = proxy
        self._made = made
        self._tasks = tasks
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, work, end."""
        del scope, receive, send  # the proxy has them
        proxy, made, tasks, awaited = self._proxy, self._made, self._tasks, False
        async with AsyncExitStack() as stack:
            for generator in self._opened:
                stack.push_async_exit(_LaneExit(generator, proxy))
            if made is None:
                await finish_tasks(tasks)
            elif not proxy.answer(made):
                await proxy.sending(made)
            elif tasks is not None:
                await run_tasks(proxy, tasks)
            awaited = True
        if not awaited:
            raise internals.swallowed()


def work_here(proxy: Any, tasks: Any, context: Context) -> Tail | None:
    """Run background tasks on this thread as far as they are sync; return what is left of them for the loop."""
    left = run_tasks_here(tasks, context)
    return None if left is None else Tail(proxy, None, left, ())
