"""A thousand keep-alive clients that pipeline and fragment at random: each answer belongs to its request."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import random
import resource
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI

from tests.conftest import eventually
from tests.faults import storm
from tests.faults.client import Client
from turboapi import Server

Serve = Callable[..., Server]

CLIENTS = 1000
REQUESTS = 6


@pytest.fixture(autouse=True)
def _room_for_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# However slow the machine is: no client is cut off for it.
PATIENT = {
    "access_log": False,
    "timeout_header": 200.0,
    "timeout_idle": 200.0,
    "timeout_write": 200.0,
    "call_queue": 100_000,
}


def check(server: Server, seed: int, clients: int, requests: int) -> None:
    async def main() -> int:
        async with asyncio.timeout(200), asyncio.TaskGroup() as group:
            tasks = [group.create_task(storm.client(server.port, seed, f"c{i}", requests)) for i in range(clients)]
        return sum(task.result() for task in tasks)

    assert asyncio.run(main()) == clients * requests, f"seed {seed}"


def run(server: Server, clients: int, requests: int) -> None:
    check(server, int.from_bytes(os.urandom(4)), clients, requests)
    eventually(lambda: server.stats()["active"] == server.stats()["in_flight"] == 0, lambda: str(server.stats()))
    # Nothing was answered twice, and nobody else's request was. A client may have its answer before it is counted.
    eventually(lambda: server.stats()["responses"] == clients * requests, lambda: str(server.stats()))
    stats = server.stats()
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


def vandal(port: int, chance: random.Random, until: threading.Event) -> None:
    """Send what others send, cut anywhere, and leave at any time, most rudely."""
    while not until.is_set():
        with Client(port) as client, contextlib.suppress(OSError):
            data = b"".join(ask.data for ask in storm.asks(chance, "vandal", chance.randrange(1, 6)))
            client.sock.settimeout(chance.choice((0.0, 0.001, 0.03)))
            client.sock.send(data[: chance.randrange(len(data) + 1)])
            if chance.random() < 0.3:
                client.finish()
            if chance.random() < 0.7:
                client.sock.recv(chance.randrange(1, 5000))
            client.leave(chance.choice(("fin", "rst", "rst")))


def rebuild(app: FastAPI, until: threading.Event) -> None:
    """Change what plans are made of, about as often as that leaves time for something else."""
    while not until.wait(0.05):
        app.add_api_route("/added", lambda: 1)
        app.add_exception_handler(LookupError, lambda request, error: None)  # type: ignore[arg-type]
        until.wait(0.05)
        app.router.routes.pop()
        app.exception_handlers.pop(LookupError)
        gc.collect()


@pytest.mark.parametrize("changing", [False, True])
def test_every_answer_belongs_to_its_request_among_vandals(
    serve: Serve, transport: str, loop_name: str, changing: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = storm.application()
    log = logging.getLogger("turboapi.error")
    log.addFilter(refuse_all := lambda record: False)  # of disconnects in the middle of bodies
    server = serve(app, transport=transport, loop=loop_name, **PATIENT)
    seed = int.from_bytes(os.urandom(4))

    until = threading.Event()
    vandals = [
        threading.Thread(target=vandal, args=(server.port, random.Random(f"{seed}-v{i}"), until)) for i in range(6)
    ]
    if changing:
        vandals.append(threading.Thread(target=rebuild, args=(app, until)))
    for thread in vandals:
        thread.start()
    try:
        # Compiling again and again slows everything down.
        check(server, seed, 20, 10 if changing else 30)
    finally:
        until.set()
        for thread in vandals:
            thread.join()
    eventually(lambda: server.stats()["active"] == server.stats()["in_flight"] == 0, lambda: str(server.stats()))
    assert server.stats()["panics"] == 0
    server.stop()
    log.removeFilter(refuse_all)
