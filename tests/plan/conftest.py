"""`both(app)` asks an application's two faces and fails where they differ."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faces.trace import Trace
from tests.plan.pair import Pair


@pytest.fixture
def trace() -> Trace:
    return Trace()


@pytest.fixture
def both(trace: Trace) -> Iterator[Callable[[Any], Pair]]:
    with contextlib.ExitStack() as stack:

        def make(app: Any) -> Pair:
            pair = Pair(app, trace)
            stack.callback(pair.close)
            return pair

        yield make
