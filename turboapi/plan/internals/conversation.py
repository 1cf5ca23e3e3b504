"""FastAPI's own handler of a WebSocket route, and the WebSocket that it is given.

Accepting, the states, what is raised when: all of that stays Starlette's code. Only
messages of an open conversation take a shorter way, past the dicts and coroutines
that Starlette has between a handler and its server.
"""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Callable
from types import CellType, FunctionType
from typing import Any, cast

import fastapi.routing as _routing
import starlette.routing
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from ..plans import Fallback
from .tools import closure, inner_code, own_function

__all__ = ["Talk", "dressed", "own_conversation"]

_CONNECTED = WebSocketState.CONNECTED
# What the shorter way leaves out.
_LEFT_OUT = (
    *("receive", "send", "receive_text", "receive_bytes", "receive_json", "send_text", "send_bytes", "iter_text"),
    "_raise_on_disconnect",
)
_ORIGINAL = tuple(vars(WebSocket).get(name) for name in _LEFT_OUT)
_PATCHED = frozenset(name for name in dir(WebSocket) if not name.startswith("__")) | {"_receive", "_send"}


class Talk(WebSocket):
    """Starlette's WebSocket on an exchange of the engine's: `_receive` and `_send` are methods of that.

    What is not a plain message on an open conversation is done by Starlette's methods. An object that is given
    another method (`websocket.receive = ...`) becomes a plain WebSocket again.
    """

    async def receive_text(self) -> str:
        """Do as Starlette's."""
        if self.application_state is not _CONNECTED or self.client_state is not _CONNECTED:
            return await super().receive_text()
        text = await cast(Any, self._receive).__self__.hear_text()
        return cast(str, text if text is not None else (await self._other())["text"])

    async def receive_bytes(self) -> bytes:
        """Do as Starlette's."""
        if self.application_state is not _CONNECTED or self.client_state is not _CONNECTED:
            return await super().receive_bytes()
        data = await cast(Any, self._receive).__self__.hear_bytes()
        return cast(bytes, data if data is not None else (await self._other())["bytes"])

    async def receive_json(self, mode: str = "text") -> Any:
        """Do as Starlette's."""
        if mode != "text" or self.application_state is not _CONNECTED or self.client_state is not _CONNECTED:
            return await super().receive_json(mode)
        text = await cast(Any, self._receive).__self__.hear_text()
        return json.loads(text if text is not None else (await self._other())["text"])

    async def send_text(self, data: str) -> None:
        """Do as Starlette's."""
        open_ = self.application_state is _CONNECTED
        wait: Any = cast(Any, self._send).__self__.say_text(data) if open_ else False
        if wait is False:
            await super().send_text(data)
        elif wait is not None:
            await wait

    async def send_bytes(self, data: bytes) -> None:
        """Do as Starlette's."""
        open_ = self.application_state is _CONNECTED
        wait: Any = cast(Any, self._send).__self__.say_bytes(data) if open_ else False
        if wait is False:
            await super().send_bytes(data)
        elif wait is not None:
            await wait

    async def iter_text(self) -> AsyncIterator[str]:
        """Do as Starlette's."""
        try:
            while True:
                open_ = self.application_state is _CONNECTED and self.client_state is _CONNECTED
                if not open_ or type(self) is not Talk:
                    yield await self.receive_text()
                    continue
                # receive_text, without a coroutine of its own.
                text = await cast(Any, self._receive).__self__.hear_text()
                yield text if text is not None else (await self._other())["text"]
        except WebSocketDisconnect:
            pass

    async def _other(self) -> Any:
        """Take what is no message of the kind that was asked for. It is there: this waits for nothing."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.client_state = WebSocketState.DISCONNECTED
        self._raise_on_disconnect(message)
        return message

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _PATCHED:
            object.__setattr__(self, "__class__", WebSocket)
        object.__setattr__(self, name, value)


Talk.__name__ = WebSocket.__name__
Talk.__qualname__ = WebSocket.__qualname__
Talk.__module__ = WebSocket.__module__


def own_conversation() -> bool:
    """Tell whether Starlette's WebSocket is as it came: nobody has put other methods into the class."""
    now = tuple(vars(WebSocket).get(name) for name in _LEFT_OUT)
    return now == _ORIGINAL and _untouched()


@functools.cache
def _untouched() -> bool:
    return all(own_function(each) for each in _ORIGINAL)


def dressed(asgi: Any) -> Callable[..., Any] | Fallback:
    """Return a route's ASGI application, made to call the same handler with a `Talk`."""
    own = {inner_code(module.websocket_session, "app") for module in (starlette.routing, cast(Any, _routing))}
    if not isinstance(asgi, FunctionType) or asgi.__code__ not in own:
        return Fallback("its ASGI application is not FastAPI's own")
    handler = closure(asgi).get("func")
    if not callable(handler):
        return Fallback("its ASGI application has no function")

    def dress(session: Any) -> Any:
        if type(session) is WebSocket and own_conversation():
            session.__class__ = Talk
        return handler(session)

    cells = zip(asgi.__code__.co_freevars, asgi.__closure__ or (), strict=True)
    closed = tuple(CellType(dress) if name == "func" else cell for name, cell in cells)
    return FunctionType(asgi.__code__, asgi.__globals__, asgi.__name__, asgi.__defaults__, closed)
