"""A thousand keep-alive clients that pipeline and fragment at random: each answer belongs to its request."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import eventually
from tests.faults import storm
from turboapi import Server

Serve = Callable[..., Server]

CLIENTS = 1000
REQUESTS = 8


@pytest.fixture(autouse=True)
def _room_for_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# However slow the machine is: no client is cut off for it.
PATIENT = {"access_log": False, "timeout_header": 100.0, "timeout_write": 100.0, "call_queue": 100_000}


def run(server: Server, clients: int, requests: int) -> None:
    seed = int.from_bytes(os.urandom(4))

    async def main() -> int:
        async with asyncio.timeout(100), asyncio.TaskGroup() as group:
            tasks = [group.create_task(storm.client(server.port, seed, f"c{i}", requests)) for i in range(clients)]
        return sum(task.result() for task in tasks)

    assert asyncio.run(main()) == clients * requests, f"seed {seed}"
    eventually(lambda: server.stats()["active"] == server.stats()["in_flight"] == 0, lambda: str(server.stats()))
    stats = server.stats()
    # Nothing was answered twice, and nobody else's request was.
    assert stats["responses"] == clients * requests
    assert stats["responses_5xx"] == stats["panics"] == stats["call_refused"] == 0


def test_every_answer_belongs_to_its_request(serve: Serve, transport: str) -> None:
    run(serve(storm.application(), transport=transport, **PATIENT), CLIENTS, REQUESTS)


@pytest.mark.parametrize("interval", [1e-6, 0.1])
def test_every_answer_belongs_to_its_request_at_extreme_switch_intervals(
    serve: Serve, transport: str, loop_name: str, interval: float
) -> None:
    server = serve(storm.application(), transport=transport, loop=loop_name, **PATIENT)
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        run(server, 60, 10)
    finally:
        sys.setswitchinterval(before)


def test_every_answer_belongs_to_its_request_on_few_threads(serve: Serve, transport: str) -> None:
    run(serve(storm.application(), transport=transport, call_threads=1, **PATIENT), 100, 10)
