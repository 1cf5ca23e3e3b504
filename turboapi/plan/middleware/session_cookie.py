"""The cookie of a session: reading it from a request, and writing it into an answer.

JSON, Base64 and signatures are the libraries'. What is put around them was seen in
what the installed release reads and writes, with a session that is known.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Any

from starlette.requests import HTTPConnection, cookie_parser

from ..internals import Signing, signing_of
from .reply import RawHeaders

__all__ = ["KNOWN", "Loads", "Saves", "shared"]

KNOWN = {"known": [1, "\u00e9"]}

# So many fields are known, if they are no longer than a cookie may be.
_KEPT = 256
_LONG = 4096

_decode = json.JSONDecoder().raw_decode


class Loads:
    """How the sessions of one middleware are read."""

    __slots__ = ("_bad", "_cookie", "_find", "_known", "_middleware", "_signing", "empty", "understood")

    def __init__(self, middleware: Any, begun: Callable[[RawHeaders], Any]) -> None:
        """Learn it. begun: the session that the own code gives to the application, from a request's headers."""
        from itsdangerous.exc import BadSignature

        self._bad = BadSignature
        self._middleware = middleware
        self._signing = signing_of(middleware.signer)
        # Fields whose signature was found good: JSON, and when that was signed. Browsers send the same ones again.
        self._known: dict[bytes, tuple[str, int]] = {}
        try:
            self._cookie = middleware.session_cookie.encode("latin-1")
        except (AttributeError, UnicodeError):
            self._cookie = None
        # Between other cookies, and without a quote or space: of that a parser makes nothing else.
        self._find = re.compile(rb"(?:\A|; )%b=([A-Za-z0-9+/=._-]+)(?:;|\Z)" % re.escape(self._cookie or b"")).search
        self.empty = type(begun([]))
        self.understood = self._cookie is not None and self._tried(begun)

    def sent(self, cookies: list[bytes]) -> bool:
        """Tell whether a session may have come with a request. cookies: its fields of that name."""
        cookie = self._cookie
        if cookie is not None and len(cookies) == 1:
            return cookie in cookies[0]
        return any(cookie is None or cookie in text for text in cookies)

    def __call__(self, scope: Any, cookies: list[bytes]) -> Any:
        """Return the session of a request, a new one where there is none that counts."""
        field = cookies[0] if len(cookies) == 1 else None
        signing = self._signing
        known = None if field is None or signing is None else self._known.get(field) or self._seen(field, signing)
        if known is not None and signing is not None and signing.counts(known[1], self._middleware.max_age):
            found, _ = _decode(known[0])
            return found if self.empty is dict else self.empty(found)
        # HTTPConnection: releases differ in what several fields mean.
        parsed = HTTPConnection(scope).cookies if field is None else cookie_parser(field.decode("latin-1"))
        text = parsed.get(self._middleware.session_cookie)
        if text is None:
            return self.empty()
        try:
            data = self._middleware.signer.unsign(text.encode("utf-8"), max_age=self._middleware.max_age)
        except self._bad:
            return self.empty()
        found = json.loads(b64decode(data))
        return found if self.empty is dict else self.empty(found)

    def _seen(self, field: bytes, signing: Signing) -> tuple[str, int] | None:
        """Read a field, and know it from now on. None where it is not just as one is written."""
        found = self._find(field)
        # Where its name is there once, no other cookie has it, in whatever way it is written.
        if found is None or field.count(self._cookie) != 1:
            return None
        good = signing.read(found[1])
        if good is None:
            return None
        try:
            text = a2b_base64(good[0]).decode("ascii")
            if text[:2] != '{"' or _decode(text)[1] != len(text):
                return None
        except ValueError:
            return None
        if len(field) <= _LONG:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[field] = text, good[1]
        return text, good[1]

    def _tried(self, begun: Callable[[RawHeaders], Any]) -> bool:
        """Tell whether the release reads a session in this way."""
        signed = self._middleware.signer.sign(b2a_base64(json.dumps(KNOWN).encode(), newline=False))
        for text in (signed, b'"%b"' % signed, signed + b"x", b""):
            for before in (b"", b"a=b; "):
                field = b"%b%b=%b" % (before, self._cookie, text)
                headers = [(b"cookie", field)]
                try:
                    there = begun(headers)
                except Exception:
                    return False
                here = self({"type": "http", "headers": headers}, [field])
                if type(here) is not type(there) or here != there:
                    return False
        return True


def shared(raw: RawHeaders, more: RawHeaders) -> bool:
    """Tell whether a name of `more` is among an answer's headers."""
    for name, _ in raw:
        for each, _ in more:
            if name == each:
                return True
    return False


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
        return shared(raw, self._more)

    def __call__(self, session: Any, raw: RawHeaders) -> RawHeaders | None:
        """Return an answer's headers with those of a session, None for what cannot be written."""
        try:
            text = self._sign(_written(session))
        except Exception:
            return None
        return [*raw, *self._more, (b"set-cookie", b"%b%b%b" % (self._before, text, self._after))]


def _encoder() -> Callable[[Any], str]:
    """Return `json.dumps`, with the encoder that it makes anew each time made once where Python has one in C."""
    default = json.JSONEncoder().default
    open_now: dict[int, Any] = {}
    try:
        make: Any = json.encoder.c_make_encoder  # type: ignore[attr-defined]
        escape = json.encoder.encode_basestring_ascii
        encode = make(open_now, default, escape, None, ": ", ", ", False, False, True)
        if "".join(encode(KNOWN, 0)) != json.dumps(KNOWN):
            return json.dumps
    except (AttributeError, TypeError):
        return json.dumps

    def dumps(value: Any) -> str:
        try:
            return "".join(encode(value, 0))
        finally:
            open_now.clear()  # what an exception has left there

    return dumps


_dumps = _encoder()


def _written(session: Any) -> bytes:
    return b2a_base64(_dumps(session).encode("utf-8"), newline=False)
