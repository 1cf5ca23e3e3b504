"""What becomes of an answer under the own code of Starlette's middleware, as a value and as messages."""

import gc
import gzip
from typing import Any

import pytest
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from turboapi.plan.internals import drive
from turboapi.plan.middleware.own import Own
from turboapi.plan.middleware.reply import Reply

BODY = b"text " * 300


def asked(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/", "headers": list(headers)}


def reply(body: bytes = BODY) -> Reply:
    return Reply(200, [(b"content-length", b"%d" % len(body)), (b"content-type", b"text/plain")], body)


def own_of(middleware: Any, *headers: tuple[bytes, bytes], send: Any = None) -> Own:
    scope = asked(*headers)
    return Own(middleware, scope, None, send, scope["headers"])


def compressing(*headers: tuple[bytes, bytes], sent: list[Any] | None = None) -> Own:
    async def send(message: Any) -> None:
        assert sent is not None, "it was sent"
        sent.append(message)

    return own_of(GZipMiddleware(_never), *headers, send=send)


async def _never(_scope: Any, _receive: Any, _send: Any) -> None:
    raise AssertionError("the middleware's own application is not called")


GZIP = (b"accept-encoding", b"gzip")


def test_a_value_becomes_another_value() -> None:
    own = compressing(GZIP)
    made = drive(own.answer(reply(), None, None))
    own.end()
    assert gzip.decompress(made.body) == BODY
    assert dict(made.raw_headers)[b"content-length"] == b"%d" % len(made.body)
    assert made.status_code == 200
    assert not made.pieces


def test_a_value_in_pieces_stays_a_value_while_its_length_is_known() -> None:
    value = reply()
    value.pieces = True
    own = compressing()
    made = drive(own.answer(value, None, None))
    own.end()
    assert made.body == BODY
    assert made.pieces


def test_a_value_that_loses_its_length_is_sent() -> None:
    value, sent = reply(), []
    value.pieces = True
    own = compressing(GZIP, sent=sent)
    assert drive(own.answer(value, None, None)) is None
    own.end()
    assert [each["type"] for each in sent] == ["http.response.start", "http.response.body", "http.response.body"]
    assert gzip.decompress(b"".join(each["body"] for each in sent[1:])) == BODY


def test_messages_go_on_at_once() -> None:
    sent: list[Any] = []
    own = compressing(sent=sent)
    drive(own({"type": "http.response.start", "status": 200, "headers": []}))
    drive(own({"type": "http.response.body", "body": b"one", "more_body": True}))
    assert [each.get("body") for each in sent] == [None, b"one"]
    drive(own({"type": "http.response.body", "body": b"", "more_body": False}))
    own.end()
    assert len(sent) == 3


def test_headers_are_those_of_the_beginning() -> None:
    own = compressing(GZIP)
    own.scope["headers"] = []
    made = drive(own.answer(reply(), None, None))
    own.end()
    assert (b"content-encoding", b"gzip") in made.raw_headers


def test_an_answer_of_the_middleware_itself() -> None:
    own = own_of(TrustedHostMiddleware(_never, allowed_hosts=["a.test"]), (b"host", b"b.test"))
    assert not own.begin()
    made: Any = drive(own.answered())
    own.end()
    assert (made.status_code, made.body) == (400, b"Invalid host header")


def test_an_exception_is_the_routes_first() -> None:
    heard: list[Exception] = []

    async def failed(_proxy: Any, exc: Exception) -> None:
        heard.append(exc)
        raise LookupError from exc

    own = own_of(SessionMiddleware(_never, "secret"))
    own.late()
    own.seen["session"].update(bad=object())
    with pytest.raises(LookupError):
        drive(own.answer(reply(), None, failed))
    with pytest.raises(TypeError):
        drive(own.answer(reply(), None, None))
    own.end()
    assert [type(each) for each in heard] == [TypeError]


def test_nothing_is_left_for_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        own = own_of(SessionMiddleware(_never, "secret"))
        own.late()
        own.seen["session"].update(user="anna")
        assert drive(own.answer(reply(), None, None)) is not None
        own.end()
        del own
        assert gc.collect() == 0
    finally:
        gc.enable()
