"""A signer's signatures without the signer, against the signer itself."""

import hashlib
from types import SimpleNamespace
from typing import Any

import itsdangerous.timed
import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer, TimestampSigner

from tests.faces.generate import always_these
from turboapi.plan.internals import Signing, signing_of

NOW = 1_800_000_000
clock = SimpleNamespace(now=NOW)
clock.time = lambda: clock.now
values = st.binary(max_size=40) | st.sampled_from([b"", b".", b"a.b", b"eyJhIjogMX0="])


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(itsdangerous.timed, "time", clock)
    clock.now = NOW


def both(secret: str = "secret") -> tuple[TimestampSigner, Signing]:
    signer = TimestampSigner(secret)
    signing = signing_of(signer)
    assert signing is not None
    return signer, signing


def outcome(unsign: Any, text: bytes, max_age: Any) -> Any:
    try:
        return unsign(text, max_age=max_age)
    except Exception as exc:
        return type(exc), str(exc), getattr(exc, "payload", None), getattr(exc, "date_signed", None)


@always_these(150)
@given(value=values, secret=st.text(min_size=1, max_size=80), now=st.integers(0, 2**33))
def test_signatures_are_the_signers(value: bytes, secret: str, now: int) -> None:
    clock.now = now
    signer, signing = both(secret)
    assert signing.sign(value) == signer.sign(value)
    clock.now = now + 1
    assert signing.sign(value) == signer.sign(value)


@always_these(300)
@given(
    value=values,
    age=st.integers(-3, 3) | st.integers(-(2**33), NOW),
    max_age=st.none() | st.integers(-2, 3) | st.floats(0, 3) | st.sampled_from([0, 14 * 24 * 3600, "1"]),
)
def test_ages_are_judged_as_by_the_signer(value: bytes, age: int, max_age: Any) -> None:
    signer, signing = both()
    clock.now = NOW - age
    text = signer.sign(value)
    clock.now = NOW
    assert outcome(signing.unsign, text, max_age) == outcome(signer.unsign, text, max_age)


@st.composite
def tampered(draw: st.DrawFn) -> bytes:
    text = TimestampSigner(draw(st.sampled_from(["secret", "secre", "another"]))).sign(draw(values))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 3))
        text = text[:at] + draw(st.binary(max_size=2) | st.sampled_from([b".", b"=", b"A", b"-"])) + text[at + length :]
    return text


@always_these(400)
@given(text=tampered(), max_age=st.sampled_from([None, 0, 60]))
def test_tampering_is_found(text: bytes, max_age: int | None) -> None:
    signer, signing = both()
    assert outcome(signing.unsign, text, max_age) == outcome(signer.unsign, text, max_age)


@always_these(300)
@given(inside=values, stamp=st.binary(max_size=9) | st.text("Aaz_-09+/=.\n", max_size=9).map(str.encode))
def test_what_is_signed_without_a_proper_time(inside: bytes, stamp: bytes) -> None:
    signer, signing = both()
    for text in (Signer.sign(signer, inside + b"." + stamp), Signer.sign(signer, stamp)):
        for max_age in (None, 60):
            assert outcome(signing.unsign, text, max_age) == outcome(signer.unsign, text, max_age)


def test_another_way_to_write_a_signature_is_good_enough() -> None:
    signer, signing = both()
    text = signer.sign(b"value") + b"=="
    assert signing.unsign(text, 60) == signer.unsign(text, max_age=60) == b"value"


class Own(TimestampSigner):
    pass


def altered(**attributes: Any) -> TimestampSigner:
    signer = TimestampSigner("secret")
    vars(signer).update(attributes)
    return signer


@pytest.mark.parametrize(
    "signer",
    [
        None,
        Signer("secret"),
        Own("secret"),
        TimestampSigner(["old", "new"]),
        TimestampSigner("secret", sep=":"),
        TimestampSigner("secret", digest_method=hashlib.sha256),
        altered(sign=str),
        altered(algorithm=itsdangerous.NoneAlgorithm()),
        altered(key_derivation="unknown"),
        altered(digest_method=hashlib.sha256),
    ],
)
def test_other_signers_work_by_themselves(signer: Any) -> None:
    assert signing_of(signer) is None


@pytest.mark.parametrize("derivation", ["concat", "django-concat", "hmac", "none"])
def test_keys_are_derived_by_the_signer(derivation: str) -> None:
    signer = TimestampSigner("secret", salt="a salt", key_derivation=derivation)
    signing = signing_of(signer)
    assert signing is not None
    assert signing.sign(b"value") == signer.sign(b"value")


@pytest.mark.parametrize("name", ["get_signature", "derive_key", "get_timestamp", "unsign"])
def test_replaced_functions_are_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = getattr(TimestampSigner, name)
    monkeypatch.setattr(TimestampSigner, name, lambda *args, **options: before(*args, **options))
    assert signing_of(TimestampSigner("secret")) is None
