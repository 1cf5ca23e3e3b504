"""Lines of text that every shape of entry has: what comes before the calls, and the calls themselves."""

from __future__ import annotations

from typing import Any

from . import internals
from .draft import Draft, Step

__all__ = ["call", "keywords", "late", "prologue", "refusal"]


def prologue(draft: Draft) -> list[str]:
    """What needs no code of the user's: making the Request, and the checks that leave a request to FastAPI."""
    if not draft.checks:
        return [*draft.first, *draft.early]
    # None of this is code of the user's, so whatever goes wrong, FastAPI can do it again.
    checks = ["    " + line for line in draft.checks]
    return [*draft.first, *draft.early, "try:", *checks, "except Exception:", f"    {draft.refuse()} from None"]


def late(draft: Draft) -> list[str]:
    """What the user's own functions validate; the errors are in `errors`."""
    return ["errors = []", *draft.late] if draft.late else []


def refusal(draft: Draft) -> list[str]:
    """Raise for what `late` has found."""
    if not draft.late:
        return []
    endpoint, where = draft.handler.tree.call, draft.where()

    def refuse(errors: list[Any], body: Any) -> None:
        internals.raise_request_error(errors, body, endpoint, where)

    body = "parsed" if draft.parses else "None"
    return ["if errors:", f"    {draft.source.bind(refuse, 'refuse')}(errors, {body})"]


def call(draft: Draft, step: Step) -> str:
    """Return the call of one step's function."""
    return f"{draft.source.bind(step.node.call, 'call')}({', '.join(keywords(step))})"


def keywords(step: Step) -> list[str]:
    """Return a step's arguments."""
    return [f"{name}={value}" for name, value in step.values.items()]
