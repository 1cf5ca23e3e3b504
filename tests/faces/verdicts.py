"""Whether the routes that a case promises to be compiled are."""

from __future__ import annotations

from collections.abc import Sequence

from .case import Case
from .faces import Verdict


def broken_promises(case: Case, verdicts: Sequence[Verdict]) -> list[str]:
    """What is wrong with a report of routes.

    A route that is declared a fallback may be compiled one day; one that is not declared must be, and every
    fallback has a reason.
    """
    wrong = []
    for verdict in verdicts:
        if verdict.outcome == "compiled":
            continue
        methods = sorted(verdict.methods)
        kind, _, reason = verdict.outcome.partition(":")
        if kind != "fallback" or not reason.strip():
            wrong.append(f"{methods} {verdict.path}: {verdict.outcome!r} is neither compiled nor a reasoned fallback")
        elif not case.fallback & {"*", *(f"{method} {verdict.path}" for method in methods or ["*"])}:
            wrong.append(f"{methods} {verdict.path} is not compiled: {reason.strip()}")
    return wrong
