"""The cookie of a session: reading it from a request, and writing it into an answer.

JSON, Base64 and signatures are the libraries'. What is put around them was seen in
what the installed release reads and writes, with a session that is known.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Any

from starlette.requests import HTTPConnection, cookie_parser

from ..internals import signing_of
from .reply import RawHeaders

__all__ = ["KNOWN", "Loads", "Saves"]

KNOWN = {"known": [1, "\u00e9"]}

_decode = json.JSONDecoder().raw_decode


class Loads:
    """How the sessions of one middleware are read."""

    __slots__ = ("_bad", "_cookie", "_find", "_middleware", "_unsign", "empty", "understood")

    def __init__(self, middleware: Any, begun: Callable[[RawHeaders], Any]) -> None:
        """Learn it. begun: the session that the own code gives to the application, from a request's headers."""
        from itsdangerous.exc import BadSignature

        self._bad = BadSignature
        self._middleware = middleware
        signing = signing_of(middleware.signer)
        self._unsign = middleware.signer.unsign if signing is None else signing.unsign
        try:
            self._cookie = middleware.session_cookie.encode("latin-1")
        except (AttributeError, UnicodeError):
            self._cookie = None
        # Between other cookies, and without a quote or space: of that a parser makes nothing else.
        self._find = re.compile(rb"(?:\A|; )%b=([A-Za-z0-9+/=._-]+)(?:;|\Z)" % re.escape(self._cookie or b"")).search
        self.empty = type(begun([]))
        self.understood = self._cookie is not None and self._tried(begun)

    def sent(self, headers: RawHeaders) -> bool:
        """Tell whether a session may have come with the request."""
        cookie = self._cookie
        return any(name == b"cookie" and (cookie is None or cookie in text) for name, text in headers)

    def __call__(self, scope: Any) -> Any:
        """Return the session of a request, a new one where there is none that counts."""
        text = self._text(scope)
        if text is None:
            return self.empty()
        try:
            data = self._unsign(text, max_age=self._middleware.max_age)
        except self._bad:
            return self.empty()
        found = _read(a2b_base64(data))
        return found if self.empty is dict else self.empty(found)

    def _text(self, scope: Any) -> bytes | None:
        """Return the value of the cookie."""
        fields = [text for name, text in scope["headers"] if name == b"cookie"]
        if len(fields) == 1:
            field = fields[0]
            found = self._find(field)
            if found is not None and field.count(self._cookie) == 1:
                value: bytes = found[1]
                return value
            cookies = cookie_parser(field.decode("latin-1"))
        else:
            cookies = HTTPConnection(scope).cookies  # releases differ in what several fields mean
        text = cookies.get(self._middleware.session_cookie)
        return None if text is None else text.encode("utf-8")

    def _tried(self, begun: Callable[[RawHeaders], Any]) -> bool:
        """Tell whether the release reads a session in this way."""
        signed = self._middleware.signer.sign(b2a_base64(json.dumps(KNOWN).encode(), newline=False))
        for text in (signed, b'"%b"' % signed, signed + b"x", b""):
            for before in (b"", b"a=b; "):
                headers = [(b"cookie", b"%b%b=%b" % (before, self._cookie, text))]
                try:
                    there = begun(headers)
                except Exception:
                    return False
                here = self({"type": "http", "headers": headers})
                if type(here) is not type(there) or here != there:
                    return False
        return True


class Saves:
    """How a session that has changed is written into an answer."""

    __slots__ = ("_after", "_before", "_more", "_sign")

    def __init__(self, sign: Callable[[bytes], bytes], before: bytes, after: bytes, more: RawHeaders) -> None:
        """Make it from what is before and after the signed text in its field, and the fields that come before that."""
        self._sign = sign
        self._before = before
        self._after = after
        self._more = more

    @classmethod
    def learned(cls, middleware: Any, added: Callable[[RawHeaders], RawHeaders]) -> Saves | None:
        """Return it for a middleware, None where it writes in another way.

        added: what the own code makes of an answer's headers where the session is now `KNOWN`.
        """
        signing = signing_of(middleware.signer)
        headers, other = added([]), (b"set-cookie", b"a=b")
        if signing is None or not headers or headers[-1][0] != b"set-cookie":
            return None
        data = _written(KNOWN)
        before, found, rest = headers[-1][1].partition(data)
        parts = re.match(rb"\.[\w-]+\.[\w-]+", rest)
        if not found or parts is None:
            return None
        after, more = rest[parts.end() :], headers[:-1]
        there = added([other])
        if signing.unsign(data + parts[0], None) != data or there[:-1] != [other, *more] or len(there[-1]) != 2:
            return None
        return cls(signing.sign, before, after, more)

    def shares(self, raw: RawHeaders) -> bool:
        """Tell whether an answer has a field already that others are added to."""
        return any(name == each for name, _ in raw for each, _ in self._more)

    def __call__(self, session: Any, raw: RawHeaders) -> RawHeaders | None:
        """Return an answer's headers with those of a session, None for what cannot be written."""
        try:
            text = self._sign(_written(session))
        except Exception:
            return None
        return [*raw, *self._more, (b"set-cookie", b"%b%b%b" % (self._before, text, self._after))]


def _read(text: bytes) -> Any:
    """Return what JSON says, as `json.loads` does."""
    if text[:2] == b'{"':
        found, end = _decode(decoded := text.decode("utf-8", "surrogatepass"))
        if end == len(decoded):
            return found
    return json.loads(text)


def _written(session: Any) -> bytes:
    return b2a_base64(json.dumps(session).encode("utf-8"), newline=False)
