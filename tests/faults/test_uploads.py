"""Uploads, good and bad, leave nothing: no file, no descriptor, no thread, no memory."""

import contextlib
import gc
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, File, Form, HTTPException, UploadFile

from tests.conftest import eventually
from turboapi import Server

from .client import Client

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system has no /proc")

Serve = Callable[..., Server]

MB = 1 << 20
HEAD = b'--edge\r\nContent-Disposition: form-data; name="%s"; filename="x"\r\n\r\n%s\r\n'
TEXT = b'--edge\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
END = b"--edge--\r\n"
TARGETS = ("upload", "sync", "bytes", "refusing", "raising", "text")


def application() -> FastAPI:
    app = FastAPI()

    @app.post("/upload")
    async def upload(f: UploadFile) -> int:
        return len(await f.read())

    @app.post("/sync")
    def sync(f: UploadFile) -> int:
        return f.file.seek(0, 2)

    @app.post("/bytes")
    def whole(f: Annotated[bytes, File()]) -> int:
        return len(f)

    def refuse() -> None:
        raise HTTPException(403, "no")

    @app.post("/refusing", dependencies=[Depends(refuse)])
    async def refusing(f: UploadFile) -> None: ...

    @app.post("/raising")
    def raising(f: UploadFile) -> None:
        raise HTTPException(409, "no")

    @app.post("/text")
    def text(name: Annotated[str, Form()]) -> int:
        return len(name)

    return app


def request(target: str, body: bytes, length: int | None = None) -> bytes:
    head = (
        "POST /%s HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=edge\r\nContent-Length: %d\r\n\r\n"
    )
    return (head % (target, len(body) if length is None else length)).encode() + body


def chunked(target: str, body: bytes) -> bytes:
    head = "POST /%s HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=edge\r\n"
    whole = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return (head % target).encode() + b"Transfer-Encoding: chunked\r\n\r\n" + whole


def nameless() -> int:
    """Open files that have no name any more."""
    found = 0
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(entry.path).endswith(" (deleted)")
    return found


def opened() -> list[str]:
    found = []
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(entry.path))
    return sorted(found)


def resident() -> int:
    """Bytes of memory that this process has."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


BIG = bytes(range(256)) * 8192  # 2 MB
GOOD = HEAD % (b"f", BIG) + TEXT % (b"name", b"n") + END

# What is sent, and the statuses that may come back; FastAPI's own answers stand in tests/faces.
KINDS: dict[str, tuple[bytes, set[int]]] = {
    "small": (HEAD % (b"f", b"x") + END, {200, 403, 409, 422}),
    "large": (GOOD, {200, 403, 409}),
    "two large": (HEAD % (b"f", BIG) + GOOD, {200, 403, 409}),
    "unasked": (HEAD % (b"g", BIG) + END, {403, 422}),
    "broken boundary": (GOOD[: -len(END)] + b"--edgy--\r\n", {200, 400, 403, 409, 422}),
    "broken behind a large file": (HEAD % (b"f", BIG) + b"--edge\r\nnonsense\r\n\r\n" + BIG, {400}),
    "refused part": (HEAD % (b"f", BIG) + TEXT % (b"t", BIG) + END, {400}),
    "ten thousand parts": (HEAD % (b"f", BIG) + TEXT % (b"t", b"") * 10_000 + END, {400}),
    "ten thousand files": (HEAD % (b"f", b"") * 10_000 + END, {400}),
    "nonsense": (os.urandom(1) * 100_000, {400, 422}),
    "no UTF-8": (HEAD % (b"f", BIG) + TEXT % (b"name", b"\xff") + END, {200, 403, 409}),
}


def eventually_closed(files: int) -> None:
    """Wait until no more files without a name are open than there were."""

    def closed() -> bool:
        if nameless() > files:
            # What FastAPI reads itself is in its frames for a moment longer, and these may be in a cycle then.
            gc.collect()
        return nameless() <= files

    eventually(closed, lambda: f"{nameless()} files are open, {files} before")


def nothing_is_left(server: Server, files: int, descriptors: int, names: set[str]) -> None:
    eventually(lambda: server.stats()["in_flight"] == 0 and server.stats()["active"] == 0, lambda: str(server.stats()))
    eventually_closed(files)
    # Go opens some for itself when it first needs them; what a request left would be many more.
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= descriptors + 4, lambda: f"open: {opened()}")
    assert set(os.listdir(tempfile.gettempdir())) - names == set()


@pytest.fixture
def empty_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def start(serve: Serve, transport: str) -> tuple[Server, int, int]:
    server = serve(application(), transport=transport, access_log=False, call_threads=2, loop="asyncio")
    with Client(server.port) as client:  # threads and what they need are there
        for target in TARGETS:
            client.send(request(target, GOOD))
            client.reply()
    eventually(lambda: server.stats()["active"] == 0)
    return server, nameless(), len(os.listdir("/proc/self/fd"))


def test_uploads_leave_nothing(serve: Serve, transport: str, empty_temporary: Path) -> None:
    server, files, descriptors = start(serve, transport)
    threads = threading.active_count()
    for name, (body, allowed) in KINDS.items():
        for target in TARGETS:
            for make in (request, chunked):
                with Client(server.port) as client:
                    try:
                        client.send(make(target, body))
                        reply = client.reply()
                    except (ConnectionError, EOFError):
                        # An answer that came before the end of the body, and the connection's end with it.
                        assert 400 in allowed
                        continue
                if target != "text":
                    assert reply.status in allowed, (name, target, reply.status, reply.body[:200])
        nothing_is_left(server, files, descriptors, set())
    assert threading.active_count() <= threads + 4  # AnyIO's own, in FastAPI's reading


def test_clients_that_leave_in_the_middle_leave_nothing(serve: Serve, transport: str, empty_temporary: Path) -> None:
    server, files, descriptors = start(serve, transport)
    for how in ("rst", "fin"):
        for body, _ in KINDS.values():
            sent = request("upload", body, len(body) + 1)
            for cut in (len(sent), len(sent) // 2, 300):
                client = Client(server.port)
                with contextlib.suppress(ConnectionError):
                    client.send(sent[:cut])
                client.leave(how)
        nothing_is_left(server, files, descriptors, set())


def test_a_stopped_server_leaves_nothing(serve: Serve, transport: str, empty_temporary: Path) -> None:
    files = nameless()
    server = serve(application(), transport=transport, access_log=False, timeout_stop=0.1)
    clients = [Client(server.port).send(request("upload", GOOD, len(GOOD) + 1)) for _ in range(4)]
    eventually(lambda: nameless() >= files + 4)
    server.stop()
    eventually_closed(files)
    for client in clients:
        client.sock.close()


def test_large_uploads_need_no_memory(serve: Serve, transport: str, empty_temporary: Path) -> None:
    server, files, descriptors = start(serve, transport)
    sent = request("sync", HEAD % (b"f", BIG * 8) + END)  # 16 MB
    before = 0
    for n in range(24):
        with Client(server.port) as client:
            client.send(sent)
            assert client.reply().body == b"%d" % (16 * MB)
        if n == 3:
            before = resident()
    assert resident() - before < 12 * MB
    nothing_is_left(server, files, descriptors, set())


def test_announced_gigabytes_reserve_nothing(serve: Serve, transport: str, empty_temporary: Path) -> None:
    server, files, descriptors = start(serve, transport)
    before = resident()
    clients: list[Any] = [Client(server.port) for _ in range(50)]
    for client in clients:
        client.send(request("upload", HEAD[:40], 1 << 40))
    eventually(lambda: server.stats()["active"] >= 50)
    assert resident() - before < 20 * MB
    for client in clients:
        client.leave("rst")
    nothing_is_left(server, files, descriptors, set())
