"""How a plain StreamingResponse is sent: its iterator's chunks straight into the exchange."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import anyio
from anyio import CancelScope

from ..plan.background import run_tasks
from ..plan.internals import threaded_iterator
from ..plan.tasks import spawn
from .steps import Steps

if TYPE_CHECKING:
    from starlette.responses import StreamingResponse

    from . import _hot

__all__ = ["stream", "stream_and_work"]


@functools.cache
def _groups() -> bool:
    """Tell whether what a body raises comes out of Starlette's task group as a group: old Starlette, AnyIO 4."""
    from starlette.responses import StreamingResponse

    names = StreamingResponse.__call__.__code__.co_names
    return not hasattr(anyio, "ExceptionGroup") and not any("collaps" in name for name in names)


async def stream(response: StreamingResponse, proxy: _hot.Exchange) -> None:
    """Send a response as its `__call__` does, up to its background task.

    A client that leaves cancels what the iterator waits for, by AnyIO's rules, and that is no error. Called by the
    hot path, which has looked whether the class is Starlette's in all that matters; the request's body is complete.
    """
    given = threaded_iterator(response.body_iterator)
    with CancelScope() as scope:
        write = proxy.write
        try:
            if given is not None:
                await _send_steps(response, proxy, scope, given)
            else:
                proxy.on_gone(scope.cancel)
                proxy.begin(response.status_code, response.raw_headers)
                async for chunk in response.body_iterator:
                    if not isinstance(chunk, (bytes, memoryview)):
                        chunk = chunk.encode(response.charset)
                    wait = write(chunk)
                    if wait is not None:
                        await wait
        except Exception as error:
            if _groups():
                raise ExceptionGroup("unhandled errors in a TaskGroup", [error]) from None
            raise
        proxy.end()


async def _send_steps(
    response: StreamingResponse, proxy: _hot.Exchange, scope: CancelScope, given: Iterable[Any]
) -> None:
    steps = Steps(given, proxy.run)

    def leave() -> None:
        steps.stop()
        scope.cancel()

    proxy.on_gone(leave)
    begun = False
    while steps.more:
        chunks: Sequence[Any] = ()
        try:
            chunks = await steps.take()
        finally:
            if not begun:
                # With the first chunk, unless that takes its time.
                proxy.begin(response.status_code, response.raw_headers)
                begun = True
        for chunk in chunks:
            if not isinstance(chunk, (bytes, memoryview)):
                chunk = chunk.encode(response.charset)
            wait = proxy.write(chunk)
            if wait is not None:
                await wait


async def stream_and_work(response: StreamingResponse, proxy: _hot.Exchange) -> None:
    """Send a response as its `__call__` does, from the task of its request.

    The stream has a child task, and so a copy of the context, as in Starlette's task group. The background task comes
    after it, in this one, whether or not the client has left.
    """
    await spawn(stream(response, proxy))
    if response.background is not None:
        await run_tasks(proxy, response.background)
