"""Fixtures for tests of faults: clients that are closed at the end, and a log that is kept out of the way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.client import Client
from turboapi import Server


@pytest.fixture
def connect() -> Iterator[Callable[..., Client]]:
    """`connect(server)` opens one more connection; the test closes it, or the fixture does."""
    with contextlib.ExitStack() as stack:

        def one(server: Server, **more: Any) -> Client:
            client = Client(server.settings.uds or server.port, **more)
            stack.callback(client.sock.close)
            return client

        yield one
