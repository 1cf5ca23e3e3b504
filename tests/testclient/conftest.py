"""Both clients, on each transport."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.testclient.both")

from tests.testclient.both import Both  # noqa: E402


@pytest.fixture
def both(transport: str) -> Both:
    return Both(transport)
