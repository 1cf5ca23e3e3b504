"""receive and send: what applications get and may say, in order, out of order, and when the client is gone."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.conftest import PATIENCE, ask, eventually, get, talk
from turboapi import Server

Serve = Callable[..., Server]
App = Callable[[Any, Any, Any], Awaitable[None]]

HEAD = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def part(body: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def read_all(receive: Any) -> list[dict[str, Any]]:
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


def test_body_comes_whole_and_only_once(serve: Serve, transport: str) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(await read_all(receive))
        await send(start(200, (b"content-length", b"2")))
        await send(part(b"ok"))
        seen.append(await receive())

    assert ask(serve(app, transport=transport, lifespan="off"), "POST", body=b"hello").data == b"ok"
    eventually(lambda: len(seen) == 2)
    assert seen == [{"type": "http.request", "body": b"hello", "more_body": False}, {"type": "http.disconnect"}]


def test_request_without_body_has_one_empty_message(serve: Serve, transport: str) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())
        await send(start(204))
        await send(part())

    assert get(serve(app, transport=transport, lifespan="off")).status == 204
    assert seen == [{"type": "http.request", "body": b"", "more_body": False}]


@pytest.mark.parametrize("size", [0, 1, 4096, 65536, 65537, 300_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_of_all_sizes_arrive_and_go_back(serve: Serve, transport: str, size: int, chunked: bool) -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        body = b"".join([message["body"] for message in await read_all(receive)])
        await send(start(200))
        await send(part(body))

    sent = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    pieces = iter([sent[i : i + 70_000] for i in range(0, size, 70_000)]) if chunked else sent
    server = serve(echo, transport=transport, lifespan="off")
    assert ask(server, "POST", body=pieces, encode_chunked=chunked, headers=framing(chunked)).data == sent


def framing(chunked: bool) -> dict[str, str]:
    return {"transfer-encoding": "chunked"} if chunked else {}


def test_body_is_streamed_as_it_comes(serve: Serve, transport: str) -> None:
    got: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["body"]:
                got.append(message["body"])
            if not message["more_body"]:
                break
        await send(start(200, (b"content-length", b"0")))
        await send(part())

    server = serve(app, transport=transport, lifespan="off")
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9\r\n\r\n")
        for number in range(3):
            sock.sendall(b"abc")
            eventually(lambda n=number: b"".join(got) == b"abc" * (n + 1))  # type: ignore[misc]
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")


def test_response_is_streamed_as_it_is_sent(serve: Serve, transport: str) -> None:
    free = [asyncio.Event() for _ in range(3)]
    loops: list[asyncio.AbstractEventLoop] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await send(start(200, (b"content-length", b"9")))
        for number in range(3):
            await send(part(b"abc", more=True))
            await free[number].wait()
        await send(part())

    server = serve(app, transport=transport, lifespan="off")
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(HEAD)
        got = b""
        for number in range(3):
            while got.partition(b"\r\n\r\n")[2] != b"abc" * (number + 1):
                piece = sock.recv(65536)
                assert piece
                got += piece
            loops[0].call_soon_threadsafe(free[number].set)
        assert sock.recv(65536) == b""


def test_response_without_length_is_chunked_for_1_1_and_closed_for_1_0(serve: Serve, transport: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200))
        for piece in (b"one ", b"", b"two"):
            await send(part(piece, more=True))
            await asyncio.sleep(0)  # what is sent in one step has a known length
        await send(part())

    server = serve(app, transport=transport, lifespan="off")
    modern = talk(server, HEAD)
    assert b"transfer-encoding: chunked" in modern.lower()
    assert modern.endswith(b"\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n")
    old = talk(server, b"GET / HTTP/1.0\r\n\r\n")
    assert b"transfer-encoding" not in old.lower()
    assert old.endswith(b"\r\n\r\none two")


def test_header_order_duplicates_and_bytes_are_kept(serve: Serve, transport: str) -> None:
    headers = [(b"x-b", b"1"), (b"set-cookie", b"a=1"), (b"x-a", b"caf\xe9"), (b"set-cookie", b"b=2"), (b"x-b", b"2")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, *headers, (b"content-length", b"0")))
        await send(part())

    head = talk(serve(app, transport=transport, lifespan="off"), HEAD).partition(b"\r\n\r\n")[0]
    found = [tuple(line.split(b": ", 1)) for line in head.split(b"\r\n")[1:]]
    assert [field for field in found if field in headers] == headers


def test_application_s_own_server_and_date_fields_stand(serve: Serve, transport: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, (b"server", b"mine"), (b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")))
        await send(part(b"x"))

    head = talk(serve(app, transport=transport, lifespan="off"), HEAD).lower()
    assert head.count(b"\r\nserver: ") == head.count(b"\r\ndate: ") == 1
    assert b"\r\nserver: mine\r\n" in head


def test_server_and_date_fields_can_be_off(serve: Serve, transport: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200))
        await send(part(b"x"))

    settings: Any = {"transport": transport, "lifespan": "off"}
    plain = talk(serve(app, **settings), HEAD).lower()
    assert b"\r\nserver: turboapi\r\n" in plain
    assert b"\r\ndate: " in plain
    none = talk(serve(app, server_header=None, date_header=False, **settings), HEAD).lower()
    assert b"server" not in none
    assert b"date" not in none
    assert b"\r\nserver: shop/2\r\n" in talk(serve(app, server_header="shop/2", **settings), HEAD).lower()


def test_client_that_leaves_is_a_disconnect(serve: Serve, transport: str) -> None:
    seen: list[Any] = []
    waiting = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())
        waiting.set()
        seen.append(await receive())
        await send(start(200))  # nobody hears it, and that is no error
        await send(part(b"late"))
        seen.append("sent")

    server = serve(app, transport=transport, lifespan="off")
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(HEAD)
        assert waiting.wait(PATIENCE)
    eventually(lambda: len(seen) == 3)
    assert seen[1:] == [{"type": "http.disconnect"}, "sent"]


def test_client_that_leaves_in_the_middle_of_its_body_is_a_disconnect(serve: Serve, transport: str) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not seen or seen[-1]["type"] == "http.request":
            seen.append(await receive())

    server = serve(app, transport=transport, lifespan="off")
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
        eventually(lambda: b"".join(message.get("body", b"") for message in seen) == b"half")
    eventually(lambda: seen[-1]["type"] == "http.disconnect")
    assert all(message["more_body"] for message in seen[:-1])


def test_disconnect_is_told_again_and_again(serve: Serve, transport: str) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(start(204))
        await send(part())
        for _ in range(3):
            seen.append((await receive())["type"])

    assert get(serve(app, transport=transport, lifespan="off")).status == 204
    eventually(lambda: len(seen) == 3)
    assert seen == ["http.disconnect"] * 3


WRONG: dict[str, list[Any]] = {
    "body first": [part(b"x")],
    "two starts": [start(), start()],
    "unknown type": [{"type": "http.response.maybe"}],
    "no type": [{"status": 200}],
    "status is text": [{"type": "http.response.start", "status": "200", "headers": []}],
    "status out of range": [start(99)],
    "headers are text": [{"type": "http.response.start", "status": 200, "headers": [("a", "b")]}],
    "header is no pair": [{"type": "http.response.start", "status": 200, "headers": [(b"a",)]}],
    "header splits": [start(200, (b"x-a", b"1\r\nx-b: 2"))],
    "name splits": [start(200, (b"x-a: 1\r\nx-b", b"2"))],
    "body is text": [start(), {"type": "http.response.body", "body": "text"}],
    "message is no dict": ["hello"],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_message_is_the_applications_error(
    serve: Serve, transport: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in WRONG[name]:
            await send(message)
        await send(part())

    reply = talk(serve(app, transport=transport, lifespan="off"), HEAD)
    if name in ("two starts", "body is text"):
        assert not reply.startswith(b"HTTP/1.1 200 ") or not reply.endswith(b"0\r\n\r\n")  # begun, and cut off
    else:
        assert reply.startswith(b"HTTP/1.1 500 ")
    assert b"x-b: 2" not in reply
    eventually(lambda: "GET /" in caplog.text)


@pytest.mark.parametrize("body", [b"three", b""])
def test_answer_of_another_length_than_promised_is_an_error(
    serve: Serve, transport: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, (b"content-length", b"2")))
        await send(part(body))

    reply = talk(serve(app, transport=transport, lifespan="off"), HEAD)
    assert reply.startswith(b"HTTP/1.1 500 ")
    eventually(lambda: "Content-Length" in caplog.text)


def test_stream_that_goes_beyond_its_promised_length_is_cut_there(serve: Serve, transport: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, (b"content-length", b"5")))
        await send(part(b"12345", more=True))
        await asyncio.sleep(0)
        await send(part(b"HTTP/1.1 200 smuggled", more=False))

    server = serve(app, transport=transport, lifespan="off")
    reply = talk(server, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert b"smuggled" not in reply
    assert reply.endswith(b"\r\n\r\n12345")


def test_less_than_the_promised_length_closes_the_connection(serve: Serve, transport: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, (b"content-length", b"5")))
        await send(part(b"two"))

    server = serve(app, transport=transport, lifespan="off")
    # No "connection: close" of the client's: the server closes because it must.
    reply = talk(server, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert reply.endswith(b"two") or b" 500 " in reply


def test_exception_before_the_start_is_a_500(serve: Serve, transport: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("mine")

    reply = get(serve(app, transport=transport, lifespan="off"), "/where")
    assert (reply.status, reply.data) == (500, b"Internal Server Error")
    eventually(lambda: "ValueError: mine" in caplog.text)
    assert "/where" in caplog.text


def test_exception_after_the_start_cuts_the_answer_off(
    serve: Serve, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200))
        await send(part(b"begun", more=True))
        await asyncio.sleep(0)
        raise ValueError("mine")

    reply = talk(serve(app, transport=transport, lifespan="off"), b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert b"begun" in reply
    assert not reply.endswith(b"0\r\n\r\n")  # the client can tell that it is not all
    eventually(lambda: "ValueError: mine" in caplog.text)


@pytest.mark.parametrize("begun", [False, True])
def test_application_that_returns_without_finishing(
    serve: Serve, transport: str, begun: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if begun:
            await send(start(200))
            await send(part(b"begun", more=True))
            await asyncio.sleep(0)

    reply = talk(serve(app, transport=transport, lifespan="off"), b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert not reply.endswith(b"0\r\n\r\n")
    assert begun or reply.startswith(b"HTTP/1.1 500 ")
    eventually(lambda: bool(caplog.records))


def test_messages_after_the_end_are_refused_or_ignored(serve: Serve, transport: str) -> None:
    done = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, (b"content-length", b"2")))
        await send(part(b"ok"))
        for message in (part(b"more"), start(500)):
            try:
                await send(message)
            except Exception:
                pass
        done.set()

    server = serve(app, transport=transport, lifespan="off")
    assert talk(server, HEAD).endswith(b"\r\n\r\nok")
    assert done.wait(PATIENCE)


def test_head_has_no_body_and_keeps_its_length(serve: Serve, transport: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, (b"content-length", b"5")))
        await send(part(b"hello"))

    reply = talk(serve(app, transport=transport, lifespan="off"), HEAD.replace(b"GET", b"HEAD"))
    assert reply.endswith(b"\r\n\r\n")
    assert b"content-length: 5" in reply.lower()


def test_tasks_are_real_and_named_contexts_are_their_own(serve: Serve, transport: str, loop_name: str) -> None:
    import contextvars

    var = contextvars.ContextVar("var", default=0)
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        task = asyncio.current_task()
        seen.append((isinstance(task, asyncio.Task), var.get()))
        var.set(1)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        seen.append((asyncio.current_task() is task, var.get()))
        await send(start(204))
        await send(part())

    server = serve(app, transport=transport, loop=loop_name, lifespan="off")
    for _ in range(2):
        assert get(server).status == 204
    assert seen == [(True, 0), (True, 1)] * 2


def test_another_thread_may_call_receive_for_a_task_of_the_loop(serve: Serve, transport: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()

        def read() -> int:
            size, more = 0, True
            while more:
                message = asyncio.run_coroutine_threadsafe(receive(), loop).result(PATIENCE)
                size += len(message["body"])
                more = message["more_body"]
            return size

        body = b"%d" % await asyncio.to_thread(read)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    server = serve(app, transport=transport, lifespan="off")
    assert ask(server, "POST", body=b"x" * 300_000).data == b"300000"
    assert ask(server, "POST", body=b"x").data == b"1"


def test_an_exception_is_logged_in_the_context_of_its_task(serve: Serve, transport: str) -> None:
    number = contextvars.ContextVar("number", default=0)
    seen: list[int] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(number.get())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        number.set(int(scope["path"][1:]))
        if number.get() == 2:
            await asyncio.sleep(0)
        raise ValueError

    listener = Listener(logging.ERROR)
    logging.getLogger("turboapi.error").addHandler(listener)
    try:
        server = serve(app, transport=transport, lifespan="off")
        assert [get(server, path).status for path in ("/1", "/2")] == [500, 500]
    finally:
        logging.getLogger("turboapi.error").removeHandler(listener)
    assert seen == [1, 2]
