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
    import fastapi  # noqa: F401

TRANSPORTS = ("reactor", "fasthttp") if sys.platform == "linux" else ("fasthttp",)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def both(transport: str) -> Iterator[Callable[..., Both]]:
    """`both(factory)` starts an application's two faces; they are stopped, and compared once more, at the end."""
    with ExitStack() as stack:

        def start(factory: Factory, **settings: Any) -> Both:
            pair = Both(factory, transport, **settings)
            stack.callback(pair.close)
            return pair

        yield start
