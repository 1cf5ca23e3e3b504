"""A test client with the interface of Starlette's that drives the real engine.

    from turboapi.testclient import TestClient

    with TestClient(app) as client:
        assert client.get("/items/1").status_code == 200

It needs what Starlette's needs: httpx2 or httpx. docs/testing.md has the differences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.testclient import WebSocketDenialResponse as WebSocketDenialResponse

from .client import TestClient as TestClient

if TYPE_CHECKING:
    from .websocket import WebSocketTestSession as WebSocketTestSession

__all__ = ["TestClient", "WebSocketDenialResponse", "WebSocketTestSession"]


def __getattr__(name: str) -> Any:
    if name == "WebSocketTestSession":  # needs the package websockets
        from .websocket import WebSocketTestSession

        return WebSocketTestSession
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
