"""The signer of Starlette's sessions, without what it does again for every signature.

itsdangerous derives its key from the secret and makes a new HMAC each time. Here
the key is the signer's own, derived once, and a signature is the same HMAC's. What
does not come out well is the signer's own to judge: its errors are the library's.
"""

from __future__ import annotations

import hmac
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Iterator
from types import FunctionType
from typing import Any

__all__ = ["Signing", "signer_attributes", "signer_watch", "signing_of"]

_ATTRIBUTES = {"secret_keys", "sep", "salt", "key_derivation", "digest_method", "algorithm"}
_STANDARD = bytes.maketrans(b"-_", b"+/")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
# Base64 of the four bytes of a time in seconds, from 1970-07-14 to 2106.
_STAMP = 6


class Signing:
    """Signs and unsigns as one TimestampSigner does, as long as nobody changes that."""

    __slots__ = ("_encode", "_mac", "_now", "_signer", "_stamp")

    def __init__(self, signer: Any, name: str) -> None:
        """Make it for a signer. name: of its hash function."""
        from itsdangerous.encoding import base64_encode, int_to_bytes

        self._encode: Any = lambda now: base64_encode(int_to_bytes(now))
        self._mac = hmac.new(signer.derive_key(), digestmod=name)
        self._signer = signer
        self._now = -1
        self._stamp = b""

    def sign(self, value: bytes) -> bytes:
        """Return a value with the time and the signature of both."""
        now = self._signer.get_timestamp()
        if now != self._now:
            self._stamp = self._encode(now)
            self._now = now
        stamped = b"%b.%b" % (value, self._stamp)
        return b"%b.%b" % (stamped, self._signature(stamped))

    def unsign(self, text: bytes, max_age: Any) -> bytes:
        """Return the value of a signed text that is at most so many seconds old. Raises the library's BadSignature."""
        good = self.read(text)
        if good is not None and self.counts(good[1], max_age):
            return good[0]
        unsigned: bytes = self._signer.unsign(text, max_age=max_age)
        return unsigned

    def read(self, text: bytes) -> tuple[bytes, int] | None:
        """Return what a good signature is for, and its time in seconds. None where that is not certain."""
        stamped, _, signature = text.rpartition(b".")
        if not hmac.compare_digest(self._signature(stamped), signature):
            return None
        value, found, stamp = stamped.rpartition(b".")
        if not found or len(stamp) != _STAMP:
            return None
        try:
            return value, int.from_bytes(a2b_base64(stamp.translate(_STANDARD) + b"=="), "big")
        except Error:
            return None

    def counts(self, made: int, max_age: Any) -> bool:
        """Tell whether a signature of that time is at most so many seconds old, and none of the future."""
        try:
            return max_age is None or 0 <= self._signer.get_timestamp() - made <= max_age
        except TypeError:
            return False

    def _signature(self, value: bytes) -> bytes:
        mac = self._mac.copy()
        mac.update(value)
        return b2a_base64(mac.digest(), newline=False).translate(_URL_SAFE).rstrip(b"=")


def signing_of(signer: Any) -> Signing | None:
    """Return a signer's signing, None for one that is not just as the library makes it from one secret."""
    try:
        if not _known(signer):
            return None
        signing = Signing(signer, signer.digest_method(b"").name)
        return signing if _alike(signing, signer) else None
    except Exception:
        return None  # there are platforms without that hash function; such a signer fails when it is needed


def signer_attributes(middleware: Any) -> Iterator[dict[str, Any]]:
    """Give the attributes of a middleware's signer, and of what that signs with."""
    signer = vars(middleware).get("signer")
    for each in (signer, getattr(signer, "algorithm", None)):
        if hasattr(each, "__dict__"):
            yield vars(each)


def signer_watch(middleware: Any) -> list[tuple[Any, str]]:
    """Return what a test may replace for a while: (class, name)."""
    signer = vars(middleware).get("signer")
    return [(type(signer), name) for name in ("sign", "unsign") if hasattr(signer, name)]


def _known(signer: Any) -> bool:
    from itsdangerous import Signer, TimestampSigner
    from itsdangerous.signer import HMACAlgorithm

    return (
        type(signer) is TimestampSigner
        and TimestampSigner.__mro__ == (TimestampSigner, Signer, object)
        and all(map(_unchanged, (TimestampSigner, Signer, HMACAlgorithm)))
        and set(vars(signer)) == _ATTRIBUTES
        and len(signer.secret_keys) == 1
        and signer.sep == b"."
        and type(signer.algorithm) is HMACAlgorithm
        and vars(signer.algorithm) == {"digest_method": signer.digest_method}
        and signer.digest_method is Signer.default_digest_method
    )


def _unchanged(cls: type[Any]) -> bool:
    """Tell whether the functions of a class are those that were written in its module."""
    for name, value in vars(cls).items():
        value = value.__func__ if isinstance(value, staticmethod) else value
        value = value.fget if isinstance(value, property) else value
        if name.startswith("__") and not isinstance(value, FunctionType):
            continue
        if isinstance(value, str):  # which derivation is the default: the probe would notice another one
            continue
        if not isinstance(value, FunctionType) or value.__module__.partition(".")[0] != "itsdangerous":
            return False
    return True


def _alike(signing: Signing, signer: Any) -> bool:
    """Tell whether both understand each other, and refuse the same in the same words."""
    value = b"eyJrbm93biI6IDF9"
    ours = signing.sign(value)
    texts = [signer.sign(value), ours, ours + b"x", b"x" + ours, ours[:-1], ours.replace(b".", b""), b"", b".", b".."]
    return all(_outcome(signer.unsign, text) == _outcome(signing.unsign, text) for text in texts) and (
        _outcome(signer.unsign, ours) == (bytes, str(value))
    )


def _outcome(unsign: Any, text: bytes) -> tuple[type[Any], str]:
    try:
        result = unsign(text, max_age=None)
    except Exception as exc:
        result = exc
    return type(result), str(result)
