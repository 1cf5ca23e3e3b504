"""After many requests of each kind the process holds what it held before: objects, blocks, descriptors, threads."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, Body, Depends, FastAPI, File, Header, HTTPException, Request, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pydantic import BaseModel

from tests.conftest import eventually
from tests.faults.client import Client
from turboapi import Server
from turboapi.engine import control

Serve = Callable[..., Server]

# Batches of requests before and after the first count.
WARM = 6
MEASURED = 25
BATCH = 10


class Item(BaseModel):
    name: str
    tags: list[str] = []


class Mine(Exception):
    pass


def leaky_application() -> FastAPI:
    app = FastAPI()

    @app.exception_handler(Mine)
    async def on_mine(request: Request, error: Mine) -> Response:
        return PlainTextResponse("mine", 418)

    async def async_dependency(request: Request) -> str:
        return request.url.path

    def sync_dependency(q: int = 0) -> int:
        return q

    def yielding() -> Iterator[int]:
        yield 1

    class Custom(JSONResponse):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(0)
            await super().__call__(scope, receive, send)

    @app.get("/loop")
    async def loop(q: int, x_id: str = Header("")) -> dict[str, Any]:
        return {"q": q, "x": x_id}

    @app.get("/call")
    def call(q: int, x_id: str = Header("")) -> dict[str, Any]:
        return {"q": q, "x": x_id}

    @app.get("/sleep")
    async def sleep() -> None:
        await asyncio.sleep(0)

    @app.post("/model")
    async def model(item: Item) -> Item:
        return item

    @app.post("/model-call")
    def model_call(item: Item) -> list[Item]:
        return [item, item]

    @app.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    @app.post("/any")
    def anything(a: Any = Body()) -> Any:
        return a

    @app.post("/file")
    async def file(file: UploadFile = File()) -> int:
        return len(await file.read())

    @app.get("/mixed")
    def mixed(a: str = Depends(async_dependency), b: int = Depends(sync_dependency)) -> Any:
        return [a, b]

    @app.get("/yielding")
    async def with_yield(a: int = Depends(yielding)) -> int:
        return a

    @app.get("/http-exception")
    def http_exception() -> None:
        raise HTTPException(404, headers={"x-a": "b"})

    @app.get("/mine")
    async def mine() -> None:
        raise Mine

    @app.get("/mine-call")
    def mine_call() -> None:
        raise Mine

    @app.get("/error")
    async def error() -> None:
        raise ValueError

    @app.get("/error-call")
    def error_call() -> None:
        raise ValueError

    @app.get("/surrogate")
    def surrogate() -> str:
        return "\ud800"

    @app.get("/custom")
    def custom() -> Custom:
        return Custom({})

    @app.get("/background")
    def background(tasks: BackgroundTasks) -> int:
        tasks.add_task(len, [])
        return 1

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 100

        return StreamingResponse(parts())

    @app.get("/disconnected")
    async def disconnected(request: Request) -> bool:
        return await request.is_disconnected()

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        scope["knot"] = scope
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def raising(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError

    app.mount("/raw", raw)
    app.mount("/raising", raising)
    return app


def request(method: str, target: str, *fields: str, body: bytes = b"") -> bytes:
    if method == "POST" and not any(field.startswith("transfer-encoding") for field in fields):
        fields = (*fields, f"content-length: {len(body)}")
    return "\r\n".join([f"{method} {target} HTTP/1.1", "host: x", *fields, "", ""]).encode() + body


JSON = "content-type: application/json"
FORM = "content-type: multipart/form-data; boundary=b"
PART = b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\nhello\r\n--b--\r\n'

# What is sent, and the status of its answer.
KINDS = {
    "loop": (request("GET", "/loop?q=7", "x-id: caf\u00e9".encode().decode("latin-1")), 200),
    "call": (request("GET", "/call?q=7", "x-id: 1"), 200),
    "wrong parameter": (request("GET", "/loop?q=x"), 422),
    "wrong parameter on the call lane": (request("GET", "/call?q=x"), 422),
    "await": (request("GET", "/sleep"), 200),
    "model": (request("POST", "/model", JSON, body=b'{"name": "a", "tags": ["b"]}'), 200),
    "model on the call lane": (request("POST", "/model-call", JSON, body=b'{"name": "a"}'), 200),
    "wrong model": (request("POST", "/model", JSON, body=b'{"tags": 7}'), 422),
    "no JSON": (request("POST", "/model", JSON, body=b"{"), 422),
    "large body": (request("POST", "/any", JSON, body=b'"' + b"x" * 100_000 + b'"'), 200),
    "body": (request("POST", "/body", body=b"x" * 20_000), 200),
    "chunked body": (request("POST", "/body", "transfer-encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"), 200),
    "file": (request("POST", "/file", FORM, body=PART), 200),
    "dependencies": (request("GET", "/mixed?q=1"), 200),
    "yielding dependency": (request("GET", "/yielding"), 200),
    "HTTPException": (request("GET", "/http-exception"), 404),
    "own exception": (request("GET", "/mine"), 418),
    "own exception on the call lane": (request("GET", "/mine-call"), 418),
    "error": (request("GET", "/error"), 500),
    "error on the call lane": (request("GET", "/error-call"), 500),
    "no UTF-8": (request("GET", "/surrogate"), 500),
    "custom response": (request("GET", "/custom"), 200),
    "background": (request("GET", "/background"), 200),
    "stream": (request("GET", "/stream"), 200),
    "is_disconnected": (request("GET", "/disconnected"), 200),
    "not found": (request("GET", "/nowhere"), 404),
    "not allowed": (request("DELETE", "/loop"), 405),
    "raw": (request("GET", "/raw/x"), 200),
    "raw body": (request("POST", "/raw/x", body=b"x" * 5000), 200),
    "raw error": (request("GET", "/raising/x"), 500),
    "refused": (b"GET / HTTP/1.1\r\nhost: a b\r\nx y\r\n\r\n", 400),
}


@pytest.fixture(autouse=True)
def _only_what_is_new() -> Iterator[None]:
    """What was there before a test is not looked through in each of its collections, and not counted."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def settled() -> tuple[int, int]:
    for _ in range(3):
        gc.collect()
    return len(gc.get_objects()), sys.getallocatedblocks()


def rested(server: Server) -> None:
    """Wait until all that clients have begun is over."""
    # Those before it in the kernel's queue have been accepted when this one is answered.
    with Client(server.port) as last:
        assert last.get("/sleep").reply().status == 200
    eventually(lambda: server.stats()["active"] == 0, lambda: str(server.stats()))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def ask(server: Server, client: Client, data: bytes, status: int) -> Client:
    """Send BATCH requests at once; return the connection, or another one where the server closes after its answer."""
    closes = status in (400, 500)
    for _ in range(BATCH if closes else 1):
        client.send(data if closes else data * BATCH)
        for _ in range(1 if closes else BATCH):
            reply = client.reply()
            assert reply.status == status
        if reply.field("connection") == "close":
            client.sock.close()
            client = Client(server.port)
    return client


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system has no /proc")
def test_requests_of_each_kind_leave_nothing_behind(
    serve: Serve, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    grown: dict[str, Any] = {}
    logging.getLogger("turboapi.error").addFilter(refuse_all := lambda record: False)
    try:
        server = serve(leaky_application(), transport=transport, access_log=False, call_threads=2, loop="asyncio")
        for name, (data, status) in KINDS.items():
            client = Client(server.port)
            before: tuple[Any, ...] = ()
            for n in range(WARM + MEASURED):
                if n == WARM:
                    eventually(lambda: server.stats()["in_flight"] == 0)
                    before = (*settled(), descriptors(), threading.active_count())
                client = ask(server, client, data, status)
            eventually(lambda: server.stats()["in_flight"] == 0)
            after = (*settled(), descriptors(), threading.active_count())
            more = [now - then for now, then in zip(after, before, strict=True)]
            # AnyIO may have needed some more threads of its own, for what FastAPI runs there.
            per_thread = 60 * max(0, more[3])
            if more[0] > 60 + per_thread or more[1] > 200 + per_thread or abs(more[2]) > 2 or more[3] > 10:
                grown[name] = more
            client.sock.close()
        assert control.stats(0)["live"] == 0
    finally:
        logging.getLogger("turboapi.error").removeFilter(refuse_all)
    assert grown == {}, "objects, blocks, descriptors, threads"


def test_clients_that_leave_leave_nothing_behind(serve: Serve, transport: str) -> None:
    server = serve(leaky_application(), transport=transport, access_log=False, call_threads=2, loop="asyncio")
    log = logging.getLogger("turboapi.error")
    log.addFilter(refuse_all := lambda record: False)
    try:
        before: tuple[int, ...] = ()
        for n in range(60):
            if n == 20:
                rested(server)
                before = (*settled(), descriptors())
            for data, _ in KINDS.values():
                Client(server.port).send(data).leave("rst")
                Client(server.port).send(data[: len(data) // 2]).leave("fin")
        rested(server)
        more = [now - then for now, then in zip((*settled(), descriptors()), before, strict=True)]
    finally:
        log.removeFilter(refuse_all)
    # Out of 2,480 connections; a thread of AnyIO's, of which some more may have been needed, is twenty objects.
    assert more[0] < 1000, more
    assert more[1] < 1500, more
    assert more[2] <= 2, more
