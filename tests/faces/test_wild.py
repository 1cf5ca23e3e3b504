"""Requests made from each application's OpenAPI schema, wild ones included: both faces answer the same.

FACES_EXAMPLES sets how many there are for each application and transport; the same ones each time.
"""

from __future__ import annotations

import os
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from . import apps  # noqa: F401  fills the table
from .case import CASES, Case
from .generate import always_these, from_schema
from .request import Request
from .schema import weighted
from .spoil import spoiled

EXAMPLES = int(os.environ.get("FACES_EXAMPLES", "40"))

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

WILD = [case for case in CASES.values() if case.wild]


@pytest.mark.parametrize("case", WILD, ids=lambda case: f"{case.subject}.{case.name}")
def test_wild_requests_are_answered_alike(case: Case, transport: str) -> None:
    if case.missing:
        pytest.skip(case.missing)
    with closing(case.both(transport)) as both:
        seeds = [step[1] for step in case.steps if isinstance(step, tuple)]
        requests = weighted((3, st.one_of(from_schema(both.own.app.openapi()))), (1, spoiled(seeds)))

        @always_these(EXAMPLES)
        @given(requests)
        def alike(asked: Request) -> None:
            both.ask(asked)

        alike()
