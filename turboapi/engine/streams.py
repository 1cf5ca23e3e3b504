"""How a plain StreamingResponse is sent: its iterator's chunks straight into the exchange."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import anyio
from anyio import CancelScope

if TYPE_CHECKING:
    from starlette.responses import StreamingResponse

    from . import _hot

__all__ = ["stream"]


@functools.cache
def _groups() -> bool:
    """Tell whether what a body raises comes out of Starlette's task group as a group: old Starlette, AnyIO 4."""
    from starlette.responses import StreamingResponse

    names = StreamingResponse.__call__.__code__.co_names
    return not hasattr(anyio, "ExceptionGroup") and not any("collaps" in name for name in names)


async def stream(response: StreamingResponse, proxy: _hot.Exchange) -> None:
    """Send a response as its `__call__` does without a background task.

    A client that leaves cancels what the iterator waits for, by AnyIO's rules, and that is no error. Called by the
    hot path, which has looked whether the class is Starlette's in all that matters; the request's body is complete.
    """
    with CancelScope() as scope:
        proxy.on_gone(scope.cancel)
        proxy.begin(response.status_code, response.raw_headers)
        write = proxy.write
        try:
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
