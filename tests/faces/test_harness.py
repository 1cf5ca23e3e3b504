"""The harness finds every kind of difference, and its client takes no nonsense for an answer."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from .client import Client, WireError
from .faces import OwnFace
from .oracle import LifespanFailed
from .reply import Reply, differences, explain
from .request import get, head, post, request
from .trace import Trace, where

OWN = Reply(200, ((b"content-length", b"2"), (b"x-a", b"1"), (b"x-a", b"2")), b"ok")


def changed(**parts: Any) -> Reply:
    return dataclasses.replace(OWN, **parts)


@pytest.mark.parametrize(
    ("served", "found"),
    [
        (OWN, []),
        (changed(headers=(*OWN.headers, (b"date", b"now"), (b"server", b"x"), (b"connection", b"close"))), []),
        (changed(status=201), ["status"]),
        (changed(body=b"no"), ["body"]),
        (changed(headers=OWN.headers[::-1]), ["headers"]),
        (changed(headers=OWN.headers[:-1]), ["headers"]),
        (changed(headers=(*OWN.headers, (b"x-b", b""))), ["headers"]),
        (changed(headers=OWN.headers[1:]), ["headers"]),
        (changed(aborted=True), ["aborted"]),
        (changed(body=b"o", aborted=True), ["body", "aborted"]),
    ],
)
def test_a_difference_is_named(served: Reply, found: list[str]) -> None:
    assert differences(get("/"), OWN, served) == found
    if found:
        assert "! " in explain(get("/"), OWN, served, "other")


def test_a_length_that_only_the_server_states_must_be_true() -> None:
    own = Reply(200, (), b"ok")
    assert differences(get("/"), own, Reply(200, ((b"content-length", b"2"),), b"ok")) == []
    assert differences(get("/"), own, Reply(200, ((b"content-length", b"3"),), b"ok")) == ["headers"]
    assert differences(head("/"), Reply(200, (), b""), Reply(200, ((b"content-length", b"0"),), b"")) == ["headers"]


def test_no_content_has_no_length() -> None:
    own = Reply(204, ((b"content-length", b"0"),), b"")
    assert differences(get("/"), own, Reply(204, (), b"")) == []
    assert differences(get("/"), own, own) == ["headers"]


def test_reset_content_has_the_length_of_nothing() -> None:
    own = Reply(205, ((b"content-length", b"7"),), b"")
    assert differences(get("/"), own, Reply(205, ((b"content-length", b"0"),), b"")) == []
    assert differences(get("/"), own, own) == ["headers"]


def test_moving_parts_are_masked() -> None:
    own, served = (Reply(200, ((b"etag", tag),), b"at " + tag) for tag in (b"12:00", b"12:01"))
    assert differences(get("/"), own, served) == ["headers", "body"]
    assert differences(get("/"), own, served, [rb"\d\d:\d\d"]) == []


def test_a_request_is_sent_as_it_is() -> None:
    asked = post(b"/a%2Fb?\xff", [("X-A", "1"), ("x-a", b"\xe9")], body=b"abcde", chunks=[2])
    assert asked.raw() == (
        b"POST /a%2Fb?\xff HTTP/1.1\r\nHost: faces.test\r\nX-A: 1\r\nx-a: \xe9\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
    )
    assert request("GET", "/", {"Host": "x"}).raw() == b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    assert post("/", json=[1]).raw().endswith(b"Content-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]")


@pytest.fixture
def answering() -> Any:
    """A function that starts a server which gives fixed bytes to its first client, then closes."""
    started: list[tuple[threading.Thread, socket.socket]] = []

    def start(answer: bytes) -> Client:
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        started.append((thread, listener))
        return Client(listener.getsockname()[1], timeout=60)

    yield start
    for thread, listener in started:
        thread.join()
        listener.close()


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "body", "aborted"),
    [
        (HEAD + b"Content-Length: 2\r\n\r\nok", b"ok", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", b"ok", False),
        (HEAD + b"\r\nto the end", b"to the end", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 0\r\n\r\n", b"", False),
        (HEAD + b"Content-Length: 3\r\n\r\nok", b"ok", True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nok", b"ok", True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", b"ok", True),
    ],
)
def test_the_client_reads_an_answer(
    answering: Callable[[bytes], Client], answer: bytes, body: bytes, aborted: bool
) -> None:
    client = answering(answer)
    reply = client.ask(get("/"))
    client.drop()
    assert (reply.status, reply.body, reply.aborted) == (200, body, aborted)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        HEAD + b"No colon\r\n\r\n",
        HEAD + b"Space : 1\r\n\r\n",
        HEAD + b"A: 1\n\r\n\r\n",
        HEAD + b"Content-Length: 2\r\n\r\nokmore",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nokk\r\n",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\nbody",
    ],
)
def test_the_client_refuses_nonsense(answering: Callable[[bytes], Client], answer: bytes) -> None:
    client = answering(answer)
    with pytest.raises(WireError):
        client.ask(get("/"))
    client.drop()


def test_the_own_face_is_a_careful_server() -> None:
    """What it gives to an application, and what it makes of its failures."""
    trace = Trace()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{step}"
                scope["state"]["shared"] = []
                await send({"type": f"lifespan.{step}.complete"})
            return
        trace(scope["path"], scope["raw_path"], scope["query_string"], scope["client"][1], where())
        scope["state"]["shared"].append(1)
        scope["state"]["own"] = 1
        first, start = await receive(), {"type": "http.response.start", "status": 200}
        if scope["path"] == "/none":
            return
        await send(start)
        with pytest.raises(RuntimeError):
            await send(start)
        await send({"type": "http.response.body", "body": first["body"], "more_body": scope["path"] == "/part"})
        if scope["path"] != "/part":
            assert (await receive())["type"] == "http.disconnect"
        trace("state", scope["state"])

    face = OwnFace(app, ("127.0.0.1", 80))
    ask = lambda asked: face.ask(asked, ("127.0.0.1", 7))  # noqa: E731
    assert ask(post("/a%2Fb%ff?x=%20", body=b"in")) == Reply(200, (), b"in")
    assert ask(head("/")) == Reply(200, (), b"")
    assert ask(get("/part")).aborted
    assert (ask(get("/none")).status, ask(get("/none")).servers_own) == (500, True)
    face.close()
    assert trace.notes()[0] == "/a/b\ufffd b'/a%2Fb%ff' b'x=%20' 7 loop"
    assert trace.notes()[1] == "state {'shared': [1], 'own': 1}"
    assert trace.notes()[3] == "state {'shared': [1, 1], 'own': 1}"


def test_a_start_that_fails_is_told() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(LifespanFailed, match="no database"):
        OwnFace(app, ("127.0.0.1", 80))


def test_an_application_without_lifespan_runs() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"ok"})

    face = OwnFace(app, ("127.0.0.1", 80))
    assert face.ask(get("/"), ("127.0.0.1", 1)).body == b"ok"
    face.close()


def test_a_cookie_may_expire_in_the_second_of_its_answer() -> None:
    def deleted(moment: float) -> Reply:
        return Reply(200, ((b"set-cookie", b"a=; expires=%s; Path=/" % formatdate(moment, usegmt=True).encode()),), b"")

    now = time.time()
    assert differences(get("/"), deleted(now), deleted(now + 1)) == []
    assert differences(get("/"), deleted(now), deleted(now + 86_400)) == ["headers"]
    assert differences(get("/"), deleted(0), deleted(1)) == ["headers"]
