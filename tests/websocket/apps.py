"""Applications of these tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["App", "Recorder", "disconnected", "echo"]

App = Callable[[Any, Any, Any], Awaitable[None]]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send back what comes until the client leaves."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def disconnected(receive: Any) -> dict[str, Any]:
    """Receive until the conversation is over, and return how it ended."""
    while (message := await receive())["type"] != "websocket.disconnect":
        pass
    return dict(message)


class Recorder:
    """An application around another one that writes down what goes in and out, and how it ends."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.log: list[Any] = []
        self.ended = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                message = await receive()
                await send({"type": message["type"] + ".complete"})
            return

        async def noted_receive() -> Any:
            message = await receive()
            self.log.append(("receive", {"reason": "", **message} if "code" in message else message))
            return message

        async def noted_send(message: Any) -> None:
            try:
                await send(message)
            except Exception as error:
                kind = "OSError" if isinstance(error, OSError) else type(error).__name__
                self.log.append(("raised", message["type"], kind))
                raise
            self.log.append(("sent", message["type"]))

        try:
            await self.app(scope, noted_receive, noted_send)
        finally:
            self.ended += 1
