"""TrustedHostMiddleware and HTTPSRedirectMiddleware: they look at the request, and answer some by themselves."""

from __future__ import annotations

from typing import Any

from .line import Passing, Step

__all__ = ["hosts", "https"]

# Host fields that are known to pass: a pattern lets any number through.
_KEPT = 64


def hosts(middleware: Any) -> Step:
    """Return a TrustedHostMiddleware as a step. A host that has passed once does not run its code again."""
    passed: set[bytes | None] = set()

    def before(passing: Passing) -> bool:
        return passing.fields.get(b"host") in passed

    def note(passing: Passing) -> None:
        if len(passed) >= _KEPT:
            passed.clear()
        passed.add(passing.fields.get(b"host"))

    return Step(middleware, before=before, passed=note)


def https(middleware: Any) -> Step:
    """Return an HTTPSRedirectMiddleware as a step."""

    def before(passing: Passing) -> bool:
        secure: bool = passing.scope["scheme"] == "https"
        return secure

    return Step(middleware, before=before)
