"""How Starlette's FileResponse sends a part of its file."""

from __future__ import annotations

import inspect
from typing import Any

from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

__all__ = ["send_parts"]

_FILES = "http.response.pathsend"


async def _send_parts(response: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Call a FileResponse; where it sends a single range, only the head is its own, and the engine sends the bytes."""
    if _FILES in scope["extensions"]:
        own = response._handle_single_range

        async def single(send: Send, start: int, end: int, size: int, only_head: bool) -> None:
            async def instead(message: Any) -> None:
                if message["type"] == "http.response.body":
                    message = {"type": _FILES, "path": str(response.path), "offset": start, "count": end - start}
                await send(message)

            await own(send if only_head else instead, start, end, size, True)

        response._handle_single_range = single
    await response(scope, receive, send)


def _knows_ranges() -> bool:
    """Tell whether FileResponse sends a single range as it is known to (Starlette 0.39 on)."""
    function = getattr(FileResponse, "_handle_single_range", None)
    expected = ["self", "send", "start", "end", "file_size", "send_header_only"]
    return function is not None and list(inspect.signature(function).parameters) == expected


# None: every FileResponse sends itself.
send_parts = _send_parts if _knows_ranges() else None
