"""A test client with the interface of Starlette's that drives the real engine.

    from turboapi.testclient import TestClient

    with TestClient(app) as client:
        assert client.get("/items/1").status_code == 200

It needs what Starlette's needs: httpx2 or httpx. docs/testing.md has the differences.
"""

from .client import TestClient as TestClient

__all__ = ["TestClient"]
