"""Fixtures for tests that ask both faces of an application."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from .both import Both, Factory

with warnings.catch_warnings():
    # The Starlette of old FastAPI releases imports python-multipart by a name that warns.
    warnings.simplefilter("ignore", PendingDeprecationWarning)
    import fastapi.routing

TRANSPORTS = ("reactor", "fasthttp") if sys.platform == "linux" else ("fasthttp",)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def _no_places_of_dead_functions() -> None:
    """FastAPI remembers where an endpoint stands by its id(), which a later application's endpoint may get."""
    getattr(fastapi.routing, "_endpoint_context_cache", {}).clear()


@pytest.fixture
def both(transport: str) -> Iterator[Callable[..., Both]]:
    """`both(factory)` starts an application's two faces; they are stopped, and compared once more, at the end."""
    with ExitStack() as stack:

        def start(factory: Factory, **settings: Any) -> Both:
            pair = Both(factory, transport, **settings)
            stack.callback(pair.close)
            return pair

        yield start
