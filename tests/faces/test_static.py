"""Files that might take long to find are looked up on call threads, and answered in the same way."""

from __future__ import annotations

import itertools
from contextlib import closing

import pytest

from turboapi.plan import static

from . import apps  # noqa: F401  fills the table
from .case import CASES, run

NAMES = (
    "files_of_a_site",
    "files_and_handlers",
    "files_of_no_folder",
    "files_for_other_origins",
    "files_under_several",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["elsewhere", "slow"])
def test_files_on_call_threads(name: str, where: str, transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if where == "elsewhere":
        monkeypatch.setattr(static, "_LOCAL", frozenset())
    else:
        monkeypatch.setattr(static, "_SLOW", -1.0)
        monkeypatch.setattr(static, "_reads", itertools.count().__next__)
    case = CASES[f"results_static.{name}"]
    with closing(case.both(transport)) as both:
        for step in case.steps:
            run(step, both)
