"""CORSMiddleware beside other middleware: what it adds to an answer depends on the origin, as a rule.

Its own code decides once what an origin adds to an answer, and how it changes
fields that it shares with others (Vary); from then on it is put behind the other
headers. Preflight requests, and whatever is unusual, go through its own code.
"""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from ..cors import CorsHeaders
from ..internals import contents
from .line import Passing, Step
from .reply import RawHeaders, with_headers

__all__ = ["cors"]

# Origins whose headers are known: what clients send is theirs.
_KEPT = 64

# The kinds of its attributes that are watched, or never change.
_PLAIN = (str, int, bool, type(None), re.Pattern)


def cors(middleware: Any) -> Step:
    """Return a CORSMiddleware as a step."""
    change = _Change(middleware)

    def before(passing: Passing) -> bool:
        asks: bool = passing.scope["method"] == "OPTIONS"
        return not asks

    def after(passing: Passing, value: Response) -> Response:
        return with_headers(value, change(passing.fields, value.raw_headers))

    return Step(middleware, before=before, after=after)


class _Change:
    """What one middleware makes of the headers of answers."""

    __slots__ = ("_keeps", "_known", "_rules")

    def __init__(self, middleware: Any) -> None:
        self._rules = CorsHeaders(middleware)
        self._keeps = _settled(middleware)
        # By origin, cookie, and the fields that it shares: those fields as they become, and what follows all others.
        self._known: dict[Any, tuple[list[Any], RawHeaders] | None] = {}

    def __call__(self, asked: dict[bytes, bytes], raw: RawHeaders) -> RawHeaders:
        """Return an answer's headers instead of `raw`. asked: the fields of the request."""
        origin = asked.get(b"origin")
        if origin is None and not self._rules.always:
            return raw
        cookie = b"cookie" in asked
        shared = tuple([pair for pair in raw if pair[0] == b"vary" or pair[0][:15] == b"access-control-"])
        key = origin, cookie, shared
        try:
            known = self._known[key]
        except KeyError:
            known = self._find(origin, cookie, shared)
            if self._keeps:
                self._known[key] = known
        except TypeError:  # fields that are no tuples
            known = None
        if known is None:
            return self._rules(_text(origin), raw, cookie)
        become, more = known
        if not become:
            return [*raw, *more]
        left = iter(become)
        changed = [next(left) if pair in shared else pair for pair in raw]
        changed += more
        return changed

    def _find(self, origin: bytes | None, cookie: bool, shared: tuple[Any, ...]) -> tuple[list[Any], RawHeaders] | None:
        if len(self._known) >= _KEPT:
            self._known.clear()
        made = self._rules(_text(origin), list(shared), cookie)
        become, more = made[: len(shared)], made[len(shared) :]
        if not all(name == b"vary" or name[:15] == b"access-control-" for name, _ in made):
            return None  # a name that nobody knew of
        # One of several fields of a name may go: then their places matter.
        return (become, more) if [name for name, _ in become] == [name for name, _ in shared] else None


def _text(origin: bytes | None) -> str | None:
    return None if origin is None else origin.decode("latin-1")


def _settled(middleware: Any) -> bool:
    """Tell whether a change of its settings would be noticed."""
    for name, value in vars(middleware).items():
        inside = contents(value)
        if name != "app" and not all(type(each) in _PLAIN for each in ([value] if inside is None else inside)):
            return False
    return True
