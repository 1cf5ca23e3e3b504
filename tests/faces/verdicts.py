"""Whether the routes that a case promises to be compiled are."""

from __future__ import annotations

from collections.abc import Sequence

from .case import Case

# FastAPI's own pages are plain Starlette routes.
PAGES = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc", "/reference", "/schema"}

Verdict = tuple[frozenset[str], str, str]


def broken_promises(case: Case, verdicts: Sequence[Verdict] | None) -> list[str]:
    """What is wrong with a report of routes; nothing where a server makes none.

    A route that is declared a fallback may be compiled one day; one that is not declared must be, and every
    fallback has a reason.
    """
    wrong = []
    for methods, path, verdict in verdicts or ():
        names = {f"{method} {path}" for method in methods} | {path, "*"}
        reason = verdict.removeprefix("fallback:").strip() if verdict != "compiled" else None
        if reason is None or path in PAGES:
            continue
        if not verdict.startswith("fallback:") or not reason:
            wrong.append(f"{sorted(methods)} {path}: {verdict!r} is neither compiled nor a fallback with a reason")
        elif not names & case.fallback:
            wrong.append(f"{sorted(methods)} {path} is not compiled: {reason}")
    return wrong
