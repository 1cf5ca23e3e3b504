"""Every handwritten application answers the same through both faces."""

from __future__ import annotations

from contextlib import closing

import pytest

from . import apps  # noqa: F401  fills the table
from .case import CASES, Case, run
from .faces import verdicts
from .trace import Trace
from .verdicts import broken_promises

# A warning inside an application must not become an exception there, which it would answer with 500.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: f"{case.subject}.{case.name}")
def test_both_faces_answer_alike(case: Case, transport: str) -> None:
    if case.missing:
        pytest.skip(case.missing)
    with closing(case.both(transport)) as both:
        for step in case.steps:
            run(step, both)


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: f"{case.subject}.{case.name}")
def test_promised_routes_are_compiled(case: Case) -> None:
    if case.missing:
        pytest.skip(case.missing)
    broken = broken_promises(case, verdicts(case.factory(Trace())))
    assert not broken, "\n".join(broken)


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 300
    assert all(case.requests() >= 2 for case in CASES.values())
