"""The same calls through Starlette's test client and through ours, on applications made anew for each."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # where only httpx is installed, Starlette says so
    from starlette.testclient import TestClient as Reference

from turboapi.testclient import TestClient

__all__ = ["Both", "Reference", "TestClient", "outcome", "shape"]

Client = Any


class Both:
    """Runs what a test does with a client twice, and compares."""

    def __init__(self, transport: str) -> None:
        self.settings: Any = {"transport": transport}

    def client(self, app: Any, **options: Any) -> Client:
        return TestClient(app, server_settings=self.settings, **options)

    def __call__(
        self, make_app: Callable[[], Any], do: Callable[[Client], Any], *, enter: bool = True, **options: Any
    ) -> Any:
        """Return what `do(client)` gives, the same for both. enter: within `with`."""
        expected = self._run(Reference(make_app(), **options), do, enter)
        found = self._run(self.client(make_app(), **options), do, enter)
        assert found == expected
        return found

    def _run(self, client: Client, do: Callable[[Client], Any], enter: bool) -> Any:
        if not enter:
            return outcome(lambda: do(client))

        def within() -> Any:
            with client:
                return do(client)

        return outcome(within)


def outcome(do: Callable[[], Any]) -> Any:
    """Return what `do` gives, or the exception that it raises in a form that can be compared."""
    try:
        return do()
    except BaseException as error:
        if isinstance(error, pytest.fail.Exception):
            raise
        return {"raised": type(error).__name__, "args": repr(error.args)}


def shape(response: Any) -> dict[str, Any]:
    """Return all of a response that a caller can see."""
    return {
        "status": response.status_code,
        "reason": response.reason_phrase,
        "headers": [(name.decode().lower(), value.decode("latin-1")) for name, value in response.headers.raw],
        "content": response.content,
        "url": str(response.url),
        "history": [shape(each) for each in response.history],
        "cookies": dict(response.cookies),
        "encoding": response.encoding,
    }
