"""Sessions read from cookies and written into them, against Starlette's own code."""

import json
from base64 import b64encode
from types import SimpleNamespace
from typing import Any

import itsdangerous.timed
import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner
from starlette.middleware.sessions import SessionMiddleware

from tests.faces.generate import always_these
from turboapi.plan.middleware import session
from turboapi.plan.middleware.session_cookie import Loads, Saves

SECRET = "secret"


async def _never(_scope: Any, _receive: Any, _send: Any) -> None:
    raise AssertionError("the middleware's own application is not called")


def middleware(**options: Any) -> Any:
    return SessionMiddleware(_never, SECRET, **options)


def loads(of: Any) -> Loads:
    return Loads(of, lambda headers: session._begun(of, headers))


def saves(of: Any) -> Saves:
    made = Saves.learned(of, lambda raw: session._added(of, kept(of), raw))
    assert made is not None
    return made


def kept(of: Any, content: Any = None) -> Any:
    """A session that was changed."""
    changed = loads(of).empty()
    changed.update(session.KNOWN if content is None else content)
    return changed


OF = middleware()
LOAD, SAVE = loads(OF), saves(OF)


def signed(text: bytes) -> str:
    return TimestampSigner(SECRET).sign(b64encode(text)).decode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
SESSIONS = st.dictionaries(st.text(), JSON, max_size=4)
TEXTS = [
    *map(json.dumps, ({}, {"a": 1}, {"\u00e9": "\ud800"})),
    '{"a": "\u00e9"}',
    ' {"a": 1}',
    '{"a": 1} ',
    '{"a": 1} x',
    '{"a"',
    "[]",
    "[[1, 2]]",
    "{",
    "",
    '{"a": 1}'.encode("utf-16").decode("latin-1"),
]
COOKIES = st.sampled_from(["session", "sessions", "other", "Session", " session", "session ", ""])
SIGNED = [signed(text.encode("latin-1", "replace")) for text in TEXTS]
CONTENTS = st.sampled_from([*SIGNED, "x", '"a b"', "session", ""])
FIELDS = st.lists(st.tuples(COOKIES, st.sampled_from(["=", " = ", '="', ""]), CONTENTS), min_size=1, max_size=3)


def outcome(read: Any, *args: Any) -> Any:
    try:
        found = read(*args)
    except Exception as exc:
        return type(exc), str(exc)
    return type(found), found


@always_these(400)
@given(fields=st.lists(st.tuples(FIELDS, st.sampled_from([";", "; ", " ;", ";;"])), min_size=1, max_size=2))
def test_a_session_is_read_as_by_the_middleware(fields: Any) -> None:
    headers = []
    for cookies, between in fields:
        text = between.join(name + middle + value + '"' * (middle == '="') for name, middle, value in cookies)
        headers.append((b"cookie", text.encode()))
    cookies = [text for _, text in headers]
    there = outcome(session._begun, OF, headers)
    assert outcome(LOAD, {"type": "http", "headers": headers}, cookies) == there
    if not LOAD.sent(cookies):
        assert there == (LOAD.empty, {})


@always_these(150)
@given(given_session=SESSIONS)
def test_what_was_written_is_read(given_session: dict[str, Any]) -> None:
    headers = SAVE(given_session, [])
    assert headers is not None
    cookie = headers[-1][1].partition(b";")[0]
    assert LOAD({"type": "http", "headers": [(b"cookie", cookie)]}, [cookie]) == given_session


OPTIONS: list[dict[str, Any]] = [
    {},
    {"max_age": None},
    {"max_age": 0, "path": "/a; b", "same_site": "none", "https_only": True},
    {"session_cookie": "a b", "domain": "faces.test"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_session_is_written_as_by_the_middleware(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(itsdangerous.timed, "time", SimpleNamespace(time=lambda: 1_800_000_000.5))
    of = middleware(**options)
    save = saves(of)
    content = {"user": "\u00e4nna", "n": [1, None, 2.5]}
    for raw in ([], [(b"content-length", b"2"), (b"set-cookie", b"a=b")]):
        assert save(kept(of, content), raw) == session._added(of, kept(of, content), list(raw))


def test_what_cannot_be_written_is_left_to_the_middleware() -> None:
    of = middleware()
    save = saves(of)
    inside: dict[str, Any] = {}
    assert save({"bad": object(), "inside": inside}, []) is None
    inside["itself"] = inside
    assert save({"inside": inside}, []) is None
    del inside["itself"]
    assert save({"inside": inside}, []) is not None
    assert save.shares([(b"vary", b"Accept")]) == (b"vary" in dict(session._added(of, kept(of))))


def test_a_field_that_is_known_is_too_old_some_day(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1_800_000_000)
    monkeypatch.setattr(itsdangerous.timed, "time", SimpleNamespace(time=lambda: clock.now))
    load = loads(middleware(max_age=60))
    field = b"a=b; session=" + signed(b'{"user": "anna"}').encode()
    for later, there in ((0, True), (60, True), (61, False), (0, True), (-1, False)):
        clock.now = 1_800_000_000 + later
        assert load({"type": "http", "headers": [(b"cookie", field)]}, [field]) == ({"user": "anna"} if there else {})


def test_each_request_has_a_session_of_its_own() -> None:
    field = b"session=" + signed(b'{"list": []}').encode()
    for _ in range(2):
        found = LOAD({"type": "http", "headers": [(b"cookie", field)]}, [field])
        assert found == {"list": []}
        found["list"].append(1)


def test_what_is_known_of_fields_is_bounded() -> None:
    load = loads(middleware())
    text = signed(b"{}").encode()
    for number in range(1000):
        field = b"a=%d; session=%b" % (number, text)
        assert load({"type": "http", "headers": [(b"cookie", field)]}, [field]) == {}
        assert len(load._known) <= 256
    field = b"a=%b; session=%b" % (b"x" * 5000, text)
    assert load({"type": "http", "headers": [(b"cookie", field)]}, [field]) == {}
    assert field not in load._known


def test_a_cookie_named_like_its_content_is_left_to_the_middleware() -> None:
    of = middleware(session_cookie=b64encode(json.dumps(session.KNOWN).encode()).decode())
    assert Saves.learned(of, lambda raw: session._added(of, kept(of), raw)) is None


def test_sessions_of_another_signer_are_left_to_it() -> None:
    of = middleware()
    of.signer = TimestampSigner(["old", "new"])
    assert Saves.learned(of, lambda raw: session._added(of, kept(of), raw)) is None
    assert loads(of).understood


@pytest.mark.parametrize("name", [" a", "a=b", "a;b", "\u20ac"])
def test_cookies_of_odd_names_are_read_by_the_middleware(name: str) -> None:
    assert not loads(middleware(session_cookie=name)).understood
