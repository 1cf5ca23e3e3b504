"""What was compiled for an application before, kept in the application itself.

Plans refer to their application, so a table on the side would keep both forever. As an
attribute of the application they are a cycle, which is collected with it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Self

from . import internals
from .entry import Entry
from .internals import Fingerprint, Stack
from .plans import CompiledApp, Fallback
from .scope import Surroundings

__all__ = ["Kept", "Memory", "kept_of"]

_NAME = "_turboapi_plans"

# Identities and the routes' own text; what is kept holds the objects.
Key = tuple[Any, ...]
# No fingerprint: the key says it all.
Known = tuple["Fingerprint | None", "Entry | Fallback", Any]


@dataclass(slots=True)
class Memory:
    """What was compiled for the routes of one application, as long as its surroundings stay the same.

    held: what the identities in the basis are those of.
    """

    basis: tuple[Any, ...]
    held: tuple[Any, ...]
    around: Surroundings
    entries: dict[Key, Known] = field(default_factory=dict)


class Kept:
    """What was compiled for an application and those that are mounted in it, by the path that each is mounted at.

    A copy of it is empty, so that an application may be copied. Any number of threads may compile at once: the worst
    is that something is compiled twice.
    """

    def __init__(self, app: Any = None) -> None:
        self.app = app
        self.parts: dict[str | None, Memory] = {}
        self._stacks: dict[int, tuple[Any, Stack]] = {}
        self._last: tuple[Hashable, Any, CompiledApp] | None = None

    def __copy__(self) -> Self:
        return type(self)()

    def __deepcopy__(self, _: Any) -> Self:
        return type(self)()

    def __reduce__(self) -> Any:
        return type(self), ()

    def stack(self, app: Any) -> Stack | Fallback:
        """Return an application's stack; the same object as long as what it will be is the same."""
        stack = internals.read_stack(app)
        if isinstance(stack, Fallback):
            return stack
        known = self._stacks.get(id(app))
        if known is not None and known[0] is app and internals.alike(app, stack, known[1]):
            return known[1]
        self._stacks[id(app)] = (app, stack)
        return stack

    def made(self, state: Hashable) -> CompiledApp | None:
        """Return what was made the last time, if it was from this."""
        last = self._last
        return last[2] if last is not None and last[0] == state else None

    def keep(self, state: Hashable, held: Any, made: CompiledApp, parts: dict[str | None, Memory]) -> None:
        """Keep what was made, with the objects whose identities are in `state`; forget what is not part of it."""
        self._last = (state, held, made)
        self.parts = parts
        apps = [part.around.scope["app"] for part in parts.values()]
        self._stacks = {key: each for key, each in self._stacks.items() if any(app is each[0] for app in apps)}


def kept_of(app: Any) -> Kept:
    """Return what is kept of an application."""
    attributes = vars(app)
    found = attributes.get(_NAME)
    if type(found) is not Kept or found.app is not app:
        found = attributes[_NAME] = Kept(app)
    return found
