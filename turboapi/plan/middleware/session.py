"""SessionMiddleware: nothing is signed or written where the session stays what it was.

What a session is, and what is done about one that has changed, is the installed
release's own code. A session that comes with the request is read here, with the
middleware's own signer, where the release has been seen to read one the same way.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

from starlette.requests import HTTPConnection, cookie_parser
from starlette.responses import Response

from ..internals import drive
from .own import Own
from .reply import Failed, Layer, RawHeaders, Reply, with_headers

__all__ = ["session"]

_KNOWN = {"known": [1, "\u00e9"]}


def session(middleware: Any, below: Layer, failed: Failed | None) -> Layer:
    """Return a SessionMiddleware as a layer. failed: see `Own.answer`."""
    load = _Load(middleware)
    empty = load.empty
    # Newer releases know what was done to a session, leave a cookie alone that would stay the same, and have a field
    # for answers that depend on it.
    read: RawHeaders = []
    flags = hasattr(empty, "accessed") and not _added(middleware, empty(_KNOWN))
    if flags:
        given = empty()
        given.accessed = True
        read = _added(middleware, given)

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
                if not flags:
                    if not given and not sent:
                        return value
                elif not given.modified:
                    if not given.accessed:
                        return value
                    raw = value.raw_headers
                    if not any(name == each for name, _ in raw for each, _ in read):
                        return with_headers(value, [*raw, *read])
            return await own.answer(value, proxy, failed)
        finally:
            own.end()

    return layer


class _Load:
    """How the sessions of one middleware are read."""

    __slots__ = ("_bad", "_cookie", "_middleware", "empty", "understood")

    def __init__(self, middleware: Any) -> None:
        from itsdangerous.exc import BadSignature

        self._bad = BadSignature
        self._middleware = middleware
        try:
            self._cookie = middleware.session_cookie.encode("latin-1")
        except (AttributeError, UnicodeError):
            self._cookie = None
        self.empty = type(_begun(middleware, []))
        self.understood = self._cookie is not None and self._tried()

    def sent(self, headers: RawHeaders) -> bool:
        """Tell whether a session may have come with the request."""
        cookie = self._cookie
        return any(name == b"cookie" and (cookie is None or cookie in text) for name, text in headers)

    def __call__(self, scope: Any) -> Any:
        """Return the session of a request, a new one where there is none that counts."""
        middleware = self._middleware
        fields = [text for name, text in scope["headers"] if name == b"cookie"]
        if len(fields) == 1:
            cookies = cookie_parser(fields[0].decode("latin-1"))
        else:
            cookies = HTTPConnection(scope).cookies  # releases differ in what several fields mean
        text = cookies.get(middleware.session_cookie)
        if text is None:
            return self.empty()
        try:
            data = middleware.signer.unsign(text.encode("utf-8"), max_age=middleware.max_age)
        except self._bad:
            return self.empty()
        found = json.loads(b64decode(data))
        return found if self.empty is dict else self.empty(found)

    def _tried(self) -> bool:
        """Tell whether the release reads a session in this way."""
        signed = self._middleware.signer.sign(b64encode(json.dumps(_KNOWN).encode()))
        for text in (signed, signed + b"x", b""):
            headers = [(b"cookie", b"%b=%b" % (self._cookie, text))]
            try:
                there = _begun(self._middleware, headers)
            except Exception:
                return False
            here = self({"type": "http", "headers": headers})
            if type(here) is not type(there) or here != there:
                return False
        return True


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


def _added(middleware: Any, session: Any) -> RawHeaders:
    """Return the headers that it adds to an answer because of a session that did not come with the request."""
    own = _Own(middleware, {"type": "http", "headers": [], "session": session}, None, None)
    value = drive(own.answer(Reply(200, [], b""), None, None))
    own.end()
    headers: RawHeaders = value.raw_headers
    return headers
