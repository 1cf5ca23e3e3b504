"""Many requests at once: every answer is that of its own request, whatever else goes on."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from . import apps  # noqa: F401  fills the table
from .both import Both, Different
from .case import CASES, Case
from .client import Client
from .reply import Reply, differences, explain
from .request import Request

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

# Applications whose answers depend on nothing but the request.
STEADY = [case for case in CASES.values() if case.steady]
CLIENTS = 6
PIECE = 7

Answers = list[tuple[Request, Reply]]


@pytest.mark.parametrize("case", STEADY, ids=lambda case: f"{case.subject}.{case.name}")
def test_every_answer_is_that_of_its_request(case: Case, transport: str) -> None:
    if case.missing:
        pytest.skip(case.missing)
    both = case.both(transport)
    with closing(both.own), closing(both.served):
        address = both.served.client.address()
        asked = [step[1] for step in case.steps if isinstance(step, tuple)]
        answers = [(one, both.own.ask(one, address)) for one in asked]
        pipelined(both, answers)
        in_pieces(both, answers)
        by_many_clients(both, answers)


def check(both: Both, asked: Request, own: Reply, served: Reply) -> None:
    if differences(asked, own, served, both.mask):
        raise Different(explain(asked, own, served, both.transport))


def pipelined(both: Both, answers: Answers) -> None:
    """All requests are sent before the first answer is read. What a closed connection leaves is asked again."""
    port, rest = both.served.server.port, answers
    while rest:
        with Client(port) as client:
            replies = client.pipeline([asked for asked, _ in rest])
        for (asked, own), served in zip(rest, replies, strict=False):
            check(both, asked, own, served)
        assert len(replies) == len(rest) or replies[-1].aborted or replies[-1].header("connection") == "close"
        rest = rest[len(replies) :]


def in_pieces(both: Both, answers: Answers) -> None:
    """Requests that arrive a few bytes at a time."""
    with Client(both.served.server.port) as client:
        for asked, own in answers:
            check(both, asked, own, client.ask(asked, pieces=PIECE))


def by_many_clients(both: Both, answers: Answers) -> None:
    """Several clients at once, each beginning with another request."""
    failures: list[BaseException] = []

    def ask_all(number: int) -> None:
        at = number * len(answers) // CLIENTS
        try:
            with Client(both.served.server.port) as client:
                for asked, own in answers[at:] + answers[:at]:
                    check(both, asked, own, client.ask(asked))
        except BaseException as error:
            failures.append(error)  # It is raised below, in the test's own thread.

    threads = [threading.Thread(target=ask_all, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
