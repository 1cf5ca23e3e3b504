"""The ASGI extension `http.response.pathsend`: the engine sends the file, whole or in part, and always closes it."""

from __future__ import annotations

import http.client
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.middleware.gzip import GZipMiddleware

from tests.conftest import ask, eventually, get, talk
from tests.faults.client import Client
from turboapi import Server

Serve = Callable[..., Server]

SIZES = [0, 1, 1000, 16 << 10, (16 << 10) + 1, 100_000, 5_000_000]


def content(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def sends(path: Path | str, *headers: tuple[bytes, bytes], status: int = 200, before: Any = None, **more: Any) -> Any:
    """An application that answers everything with a file. before: called between head and file."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/fine":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
            await send({"type": "http.response.body", "body": b"1"})
            return
        assert scope["extensions"]["http.response.pathsend"] == {}
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        if before is not None:
            before()
        await send({"type": "http.response.pathsend", "path": str(path), **more})

    return application


def length(size: int) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % size)


def opened(path: Path) -> int:
    """How many descriptors of this process are open on the file."""
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{fd}").startswith(str(path))
        except OSError:
            continue
    return count


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stated", [True, False], ids=["length", "chunks"])
def test_a_file_is_the_body(serve: Serve, transport: str, path: Path, size: int, stated: bool) -> None:
    path.write_bytes(content(size))
    server = serve(sends(path, *([length(size)] if stated else [])), transport=transport)
    with Client(server.port) as client:
        # Pipelined: what follows comes behind the file.
        client.get("/file").get("/fine").get("/file")
        replies = [client.reply() for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert replies[0].body == replies[2].body == content(size)
    assert replies[1].body == b"1"
    eventually(lambda: opened(path) == 0)


def test_a_head_and_a_status_without_body_leave_the_file_unsent(serve: Serve, transport: str, path: Path) -> None:
    path.write_bytes(content(1000))
    server = serve(sends(path, length(1000)), transport=transport)
    reply = ask(server, "HEAD", "/file")
    assert (reply.status, reply.getheader("content-length"), reply.data) == (200, "1000", b"")
    server = serve(sends(path, status=204), transport=transport)
    with Client(server.port) as client:
        client.get("/file").get("/fine")
        assert (client.reply().status, client.reply().body) == (204, b"1")
    eventually(lambda: opened(path) == 0)


def test_http_1_0_gets_the_file_until_the_connection_closes(serve: Serve, transport: str, path: Path) -> None:
    path.write_bytes(content(300_000))
    found = talk(serve(sends(path), transport=transport), b"GET /file HTTP/1.0\r\n\r\n")
    assert found.partition(b"\r\n\r\n")[2] == content(300_000)
    eventually(lambda: opened(path) == 0)


@pytest.mark.parametrize(("at", "count"), [(0, 10), (5, 100_000), (99_990, 10), (99_990, 500), (200_000, 5)])
def test_a_part_of_a_file(serve: Serve, transport: str, path: Path, at: int, count: int) -> None:
    path.write_bytes(content(100_000))
    reply = get(serve(sends(path, offset=at, count=count), transport=transport), "/file")
    assert reply.data == content(100_000)[at : at + count]


@pytest.mark.parametrize(
    ("more", "error"), [({"offset": -1}, ValueError), ({"count": -1}, ValueError), ({"offset": "x"}, TypeError)]
)
def test_a_part_that_there_cannot_be(serve: Serve, path: Path, more: dict[str, Any], error: type[Exception]) -> None:
    path.write_bytes(b"x")
    raised: list[type[BaseException]] = []
    inner = sends(path, **more)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        try:
            await inner(scope, receive, send)
        except Exception as found:
            if scope["type"] == "http":
                raised.append(type(found))
            raise

    with pytest.raises((http.client.HTTPException, ConnectionError)):
        get(serve(application), "/file")
    assert raised == [error]


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "unreadable"])
def test_what_is_no_file_is_an_error_of_the_application(serve: Serve, transport: str, path: Path, kind: str) -> None:
    raised: list[BaseException] = []
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    inner = sends("/proc/self/fd/nothing" if kind == "unreadable" else path, length(5))

    async def application(scope: Any, receive: Any, send: Any) -> None:
        try:
            await inner(scope, receive, send)
        except OSError as error:
            raised.append(error)
            raise

    server = serve(application, transport=transport)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        get(server, "/file")  # the head is out
    assert len(raised) == 1
    assert get(server, "/fine").data == b"1"


@pytest.mark.parametrize("size", [1000, 3_000_000])
@pytest.mark.parametrize("stated", [True, False], ids=["length", "close"])
def test_a_file_that_is_cut_while_it_is_sent_ends_the_connection(
    serve: Serve, transport: str, path: Path, size: int, stated: bool, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(content(size))
    headers = [length(size + 500)] if stated else []
    server = serve(sends(path, *headers, **({} if stated else {"count": size})), transport=transport)
    if not stated:
        # Too large for the buffers of the sockets: it is cut while the rest waits.
        size = 64_000_000
        path.write_bytes(content(size))
        server = serve(sends(path), transport=transport)
    client = Client(server.port, receive_buffer=4096)
    client.send(b"GET /file HTTP/1.%d\r\nhost: x\r\n\r\n" % stated)
    if not stated:
        eventually(lambda: server.stats()["bytes_out"] > 0)
        os.truncate(path, 100_000)
    got = b""
    reset = False
    try:
        while piece := client.sock.recv(1 << 20):
            got += piece
    except ConnectionResetError:
        reset = True
    client.sock.close()
    assert len(got.partition(b"\r\n\r\n")[2]) <= size
    assert stated or reset  # else it would look complete
    eventually(lambda: opened(path) == 0 and server.stats()["connections"] == 0)
    server.stop()
    assert "bytes were not sent" in caplog.text
    assert "GET /file" in caplog.text


def test_a_file_that_grows_is_cut_at_its_announced_length(serve: Serve, transport: str, path: Path) -> None:
    path.write_bytes(content(1000))
    server = serve(sends(path, length(1000), before=lambda: path.write_bytes(content(2000))), transport=transport)
    with Client(server.port) as client:
        client.get("/file").get("/fine")
        assert (client.reply().body, client.reply().body) == (content(1000), b"1")


def test_a_removed_file_is_sent_to_its_end(serve: Serve, transport: str, path: Path) -> None:
    size = 20_000_000
    path.write_bytes(content(size))
    server = serve(sends(path, length(size)), transport=transport)
    client = Client(server.port, receive_buffer=4096).get("/file")
    eventually(lambda: server.stats()["bytes_out"] > 0)
    path.unlink()
    assert client.reply().body == content(size)
    client.sock.close()
    eventually(lambda: opened(path) == 0)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_client_that_leaves_in_the_middle_leaves_no_descriptor(
    serve: Serve, transport: str, path: Path, how: str
) -> None:
    path.write_bytes(content(64_000_000))
    server = serve(sends(path, length(64_000_000)), transport=transport)
    clients = [Client(server.port, receive_buffer=4096).get("/file") for _ in range(10)]
    for client in clients:
        client.sock.recv(1)
    eventually(lambda: opened(path) == 10)
    assert get(server, "/fine").data == b"1"  # slow readers hold no thread
    eventually(lambda: server.stats()["in_flight"] == 0)  # nor an exchange
    for client in clients:
        client.leave(how)
    eventually(lambda: opened(path) == 0, lambda: str(server.stats()))


def test_a_client_that_does_not_read_is_cut_off(serve: Serve, transport: str, path: Path) -> None:
    path.write_bytes(content(64_000_000))
    server = serve(sends(path, length(64_000_000)), transport=transport, timeout_write=0.2)
    client = Client(server.port, receive_buffer=4096).get("/file")
    client.sock.recv(1)
    eventually(lambda: opened(path) == 0, lambda: str(server.stats()))
    client.sock.close()


def test_a_stopped_server_closes_its_files(serve: Serve, transport: str, path: Path) -> None:
    path.write_bytes(content(64_000_000))
    server = serve(sends(path, length(64_000_000)), transport=transport, timeout_stop=0.05)
    client = Client(server.port, receive_buffer=4096).get("/file")
    client.sock.recv(1)
    eventually(lambda: opened(path) == 1)
    server.stop()
    eventually(lambda: opened(path) == 0)
    client.sock.close()


def test_a_client_gone_before_the_file_is_opened(serve: Serve, transport: str, path: Path) -> None:
    path.write_bytes(content(1000))
    entered, go = threading.Event(), threading.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [length(1000)]})
        entered.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.pathsend", "path": str(path)})
        go.set()

    server = serve(application, transport=transport)
    client = Client(server.port).get("/")
    eventually(entered.is_set)
    client.leave("rst")
    eventually(go.is_set)
    eventually(lambda: opened(path) == 0 and server.stats()["in_flight"] == 0)


def test_file_responses_use_it(serve: Serve, transport: str, path: Path) -> None:
    path.write_bytes(content(3_000_000))
    app = FastAPI()

    @app.get("/file")
    async def file() -> FileResponse:
        return FileResponse(path)

    reply = get(serve(app, transport=transport), "/file")
    assert reply.getheader("etag")
    assert reply.data == content(3_000_000)
    eventually(lambda: opened(path) == 0)


def test_middleware_that_changes_bodies_sees_them(serve: Serve, path: Path) -> None:
    path.write_bytes(content(100_000))
    app = FastAPI()
    app.add_middleware(GZipMiddleware)

    @app.get("/file")
    async def file() -> FileResponse:
        return FileResponse(path)

    inside = FastAPI()

    @inside.get("/file")
    async def file_inside() -> FileResponse:
        return FileResponse(path)

    for served in (app, GZipMiddleware(inside)):
        reply = get(serve(served), "/file", headers={"accept-encoding": "gzip"})
        assert reply.getheader("content-encoding") == "gzip"
