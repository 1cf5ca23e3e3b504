"""What counts as a difference between two answers, and how it is told."""

from __future__ import annotations

import gzip

from turboapi.engine.differences import Reply, differences

JSON = (b"content-type", b"application/json")


def found(own: Reply, compiled: Reply, *, head: bool = False) -> list[str]:
    return differences(own, compiled, head=head)


def test_equal_answers() -> None:
    assert found(Reply(200, [JSON], b"[1]"), Reply(200, [JSON], b"[1]")) == []


def test_what_a_server_adds_is_no_difference() -> None:
    added = [(b"date", b"now"), (b"server", b"turboapi"), JSON, (b"content-length", b"3"), (b"connection", b"close")]
    assert found(Reply(200, [JSON], b"[1]"), Reply(200, added, b"[1]")) == []
    chunked = [JSON, (b"transfer-encoding", b"chunked")]
    assert found(Reply(200, [JSON], b"[1]"), Reply(200, chunked, b"[1]")) == []


def test_a_length_of_the_application_must_be_the_same() -> None:
    own = Reply(200, [(b"content-length", b"3")], b"[1]")
    assert found(own, Reply(200, [(b"content-length", b"4")], b"[12]"))[0] == "header content-length: '3', compiled '4'"
    assert found(own, Reply(200, [], b"[1]")) == ["header content-length: '3', compiled none"]


def test_a_false_length_of_the_server_is_told() -> None:
    assert found(Reply(200, [], b"[1]"), Reply(200, [(b"content-length", b"9")], b"[1]")) == [
        "header content-length: none, compiled '9'"
    ]


def test_status_headers_and_body_are_told_at_once() -> None:
    own = Reply(200, [JSON, (b"x", b"1"), (b"x", b"2")], b'{"a":1,"b":2}')
    compiled = Reply(201, [JSON, (b"x", b"1"), (b"y", b"3")], b'{"a":1,"b":3}')
    assert found(own, compiled) == [
        "status 200, compiled 201",
        "header x: '1' and '2', compiled '1'",
        "header y: none, compiled '3'",
        "body at byte 11: '2}', compiled '3}' (13 and 13 bytes)",
    ]


def test_the_order_of_headers_counts() -> None:
    assert found(Reply(200, [JSON, (b"x", b"1")], b""), Reply(200, [(b"x", b"1"), JSON], b"")) == [
        "the order of the headers"
    ]


def test_a_body_that_ends_early_is_told_where() -> None:
    assert found(Reply(200, [], b"abc"), Reply(200, [], b"ab")) == ["body at byte 2: 'c', compiled '' (3 and 2 bytes)"]


def test_long_values_are_clipped() -> None:
    (text,) = found(Reply(200, [], b"a" * 10_000), Reply(200, [], b"b" * 10_000))
    assert len(text) < 250
    assert "aaa'..." in text


def test_cookies_are_not_written_into_the_log() -> None:
    (text,) = found(Reply(200, [(b"set-cookie", b"secret=1")], b""), Reply(200, [(b"set-cookie", b"secret=2")], b""))
    assert text == "header set-cookie: 1 values, compiled 1, which are not the same"


def test_answers_to_head_have_no_body_to_compare() -> None:
    own = Reply(200, [JSON], b"the application sends one all the same")
    assert found(own, Reply(200, [JSON], b""), head=True) == []
    assert found(Reply(304, [JSON], b"x"), Reply(304, [JSON], b"")) == []


def test_compressed_bodies_are_compared_decompressed() -> None:
    packed = (b"content-encoding", b"gzip")
    one, other = gzip.compress(b"[1]" * 99, mtime=1), gzip.compress(b"[1]" * 99, mtime=2)
    assert found(Reply(200, [packed], one), Reply(200, [packed], other)) == []
    third = gzip.compress(b"[2]" * 99, mtime=2)
    assert found(Reply(200, [packed], one), Reply(200, [packed], third))[0].startswith("body at byte 1: ")
    assert found(Reply(200, [packed], one), Reply(200, [packed], b"no gzip")) != []
