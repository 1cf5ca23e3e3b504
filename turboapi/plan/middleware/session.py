"""SessionMiddleware: nothing is signed or written where the session stays what it was.

What a session is, and what is done about one that has changed, is the installed
release's own code. Where that has been seen to do the same, a session is read from
the request, and one that has changed is written, without it (`session_cookie.py`).
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ..internals import drive
from .own import Own
from .reply import Failed, Layer, RawHeaders, Reply, with_headers
from .session_cookie import KNOWN, Loads, Saves

__all__ = ["session"]


def session(middleware: Any, below: Layer, failed: Failed | None) -> Layer:
    """Return a SessionMiddleware as a layer. failed: see `Own.answer`."""
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

    async def layer(proxy: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        own = _Own(middleware, scope, receive, send)
        sent = load.sent(own.headers)
        try:
            if not sent:
                scope["session"] = empty()
            elif load.understood:
                scope["session"] = load(scope)
            elif not own.begin():
                return await own.answered()
            value = await below(proxy, scope, receive, own)
            if value is None:
                return None
            given = scope["session"]
            if type(given) is empty:
                raw = value.raw_headers
                if not flags:
                    if not given and not sent:
                        return value
                elif not given.modified:
                    if not given.accessed:
                        return value
                    if not any(name == each for name, _ in raw for each, _ in read):
                        return with_headers(value, [*raw, *read])
                if given and save is not None and not save.shares(raw):
                    headers = save(given, raw)
                    if headers is not None:
                        return with_headers(value, headers)
            return await own.answer(value, proxy, failed)
        finally:
            own.end()

    return layer


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
    own = _Own(middleware, {"type": "http", "headers": headers}, None, None)
    own.begin()
    own.end()
    return own.scope["session"]


def _added(middleware: Any, session: Any, raw: RawHeaders | None = None) -> RawHeaders:
    """Return what it makes of an answer's headers because of a session that did not come with the request."""
    own = _Own(middleware, {"type": "http", "headers": [], "session": session}, None, None)
    value = drive(own.answer(Reply(200, list(raw or ()), b""), None, None))
    own.end()
    headers: RawHeaders = value.raw_headers
    return headers
