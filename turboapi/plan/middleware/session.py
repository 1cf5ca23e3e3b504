"""SessionMiddleware: nothing is signed or written where the session stays what it was.

What a session is, and what is done about one that has changed, is the installed
release's own code. Where that has been seen to do the same, a session is read from
the request, and one that has changed is written, without it (`session_cookie.py`).
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ..internals import drive
from .line import Passing, Step
from .own import Own
from .reply import RawHeaders, Reply, with_headers
from .session_cookie import KNOWN, Loads, Saves, shared

__all__ = ["session"]


def session(middleware: Any) -> Step:
    """Return a SessionMiddleware as a step."""
    load = Loads(middleware, lambda headers: _begun(middleware, headers))
    empty = load.empty
    # Newer releases know what was done to a session, leave a cookie alone that would stay the same, and have a field
    # for answers that depend on it.
    read: RawHeaders = []
    save = None
    flags = hasattr(empty, "accessed") and not _added(middleware, empty(KNOWN))
    if flags:
        given = empty()
        given.accessed = True
        read = _added(middleware, given)
    if flags or empty is dict:
        changed = empty()
        changed.update(KNOWN)
        save = Saves.learned(middleware, lambda raw: _added(middleware, changed, raw))

    def before(passing: Passing) -> bool:
        cookies = passing.each(b"cookie")
        if not load.sent(cookies):
            passing.scope["session"] = empty()
        elif load.understood:
            passing.scope["session"] = load(passing.scope, cookies)
        else:
            return False
        return True

    def after(passing: Passing, value: Response) -> Response | None:
        given = passing.scope["session"]
        if type(given) is not empty:
            return None
        raw = value.raw_headers
        if not flags:
            if not given and not load.sent(passing.each(b"cookie")):
                return value
        elif not given.modified:
            if not given.accessed:
                return value
            if not shared(raw, read):
                return with_headers(value, [*raw, *read])
        if given and save is not None and not save.shares(raw):
            headers = save(given, raw)
            if headers is not None:
                return with_headers(value, headers)
        return None

    return Step(middleware, before=before, after=after, own=_Own)


class _Own(Own):
    """Own code that may have begun late: then it hears of the session that is there when the answer starts."""

    __slots__ = ()

    def late(self) -> None:
        """Begin now. A session that is kept is written without a look at the one that came with the request."""
        if self.scope.get("session"):
            self.headers = []
        super().late()

    async def __call__(self, message: Any) -> None:
        if self._through is None:
            self.late()
        if self.seen is not self.scope and message["type"] == "http.response.start":
            self.seen["session"] = self.scope["session"]
        await self._through(message)


def _begun(middleware: Any, headers: RawHeaders) -> Any:
    """Return the session that the own code gives to the application."""
    own = _Own(middleware, {"type": "http", "headers": headers}, None, None, headers)
    own.begin()
    own.end()
    return own.scope["session"]


def _added(middleware: Any, session: Any, raw: RawHeaders | None = None) -> RawHeaders:
    """Return what it makes of an answer's headers because of a session that did not come with the request."""
    own = _Own(middleware, {"type": "http", "headers": [], "session": session}, None, None, [])
    value = drive(own.answer(Reply(200, list(raw or ()), b""), None, None))
    own.end()
    headers: RawHeaders = value.raw_headers
    return headers
