"""Many keep-alive clients that pipeline and fragment at random and check every answer against its request."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Header, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

__all__ = ["Ask", "application", "asks", "client", "KINDS"]


class Item(BaseModel):
    mark: str
    pad: str


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """A mounted ASGI application: gives the body back, chunked, as it comes."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-path", scope["path"].encode())]})
    more = True
    while more:
        message = await receive()
        assert message["type"] == "http.request", message
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


def application(pause: float = 0.001) -> FastAPI:
    """An application with a route on each lane; each answer holds what its request said."""
    import time

    app = FastAPI()

    @app.get("/loop/{mark}")
    async def loop(mark: str, q: str, x_id: str = Header()) -> dict[str, str]:
        return {"id": mark, "q": q, "x": x_id}

    @app.get("/call/{mark}")
    def call(mark: str, q: str, x_id: str = Header()) -> dict[str, str]:
        return {"id": mark, "q": q, "x": x_id}

    @app.get("/sleep/{mark}")
    async def sleep(mark: str, q: str, x_id: str = Header()) -> dict[str, str]:
        await asyncio.sleep(pause)
        return {"id": mark, "q": q, "x": x_id}

    @app.get("/block/{mark}")
    def block(mark: str, q: str, x_id: str = Header()) -> dict[str, str]:
        time.sleep(pause)
        return {"id": mark, "q": q, "x": x_id}

    @app.post("/loop")
    async def post_loop(item: Item) -> Item:
        return item

    @app.post("/call")
    def post_call(item: Item) -> Item:
        return item

    @app.post("/read")
    async def read(request: Request) -> dict[str, Any]:
        size = 0
        async for part in request.stream():
            size += len(part)
        return {"id": request.headers["x-id"], "size": size}

    @app.get("/stream/{mark}")
    async def stream(mark: str, n: int) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for i in range(n):
                yield f"{mark}:{i};"
                await asyncio.sleep(0)

        return StreamingResponse(parts())

    app.mount("/raw", raw)
    return app


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: its bytes, and what its answer has to be."""

    data: bytes
    status: int
    expect: Callable[[bytes], bool]
    head: bool = False


def _body(random: random.Random, body: bytes) -> tuple[str, bytes]:
    """The framing field and the framed body: with its length, or in chunks of any size."""
    if random.random() < 0.5:
        return f"content-length: {len(body)}", body
    framed, at = b"", 0
    while at < len(body):
        size = random.choice([1, 2, 7, 100, 4000, 70_000])
        part = body[at : at + size]
        extension = random.choice([b"", b"", b";a=b", b' ; c="d"'])
        framed += b"%x%s\r\n%s\r\n" % (len(part), extension, part)
        at += size
    trailer = random.choice([b"", b"", b"x-trailer: 1\r\n"])
    return "transfer-encoding: chunked", framed + b"0\r\n" + trailer + b"\r\n"


def _request(method: str, target: str, *fields: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "host: x", *fields, "", ""]).encode() + body


def _get(random: random.Random, kind: str, mark: str) -> Ask:
    data = _request("GET", f"/{kind}/{mark}?q={mark}", f"X-Id: {mark}", f"x-pad: {'p' * random.randrange(200)}")
    return Ask(data, 200, lambda body: json.loads(body) == {"id": mark, "q": mark, "x": mark})


def _post(random: random.Random, kind: str, mark: str) -> Ask:
    item = {"mark": mark, "pad": "x" * random.choice([0, 10, 3000, 90_000])}
    framing, body = _body(random, json.dumps(item).encode())
    data = _request("POST", f"/{kind.removeprefix('post-')}", "content-type: application/json", framing, body=body)
    return Ask(data, 200, lambda body: json.loads(body) == item)


def _read(random: random.Random, kind: str, mark: str) -> Ask:
    size = random.choice([0, 1, 5000, 200_000])
    framing, body = _body(random, b"r" * size)
    data = _request("POST", "/read", f"x-id: {mark}", framing, body=body)
    return Ask(data, 200, lambda body: json.loads(body) == {"id": mark, "size": size})


def _unread(random: random.Random, kind: str, mark: str) -> Ask:
    framing, body = _body(random, b"u" * random.choice([10, 5000]))
    return Ask(_request("POST", f"/nowhere/{mark}", framing, body=body), 404, lambda body: b"Not Found" in body)


def _stream(random: random.Random, kind: str, mark: str) -> Ask:
    n = random.randrange(20)
    want = "".join(f"{mark}:{i};" for i in range(n)).encode()
    return Ask(_request("GET", f"/stream/{mark}?n={n}"), 200, lambda body: body == want)


def _raw(random: random.Random, kind: str, mark: str) -> Ask:
    sent = mark.encode() * random.choice([0, 1, 500, 9000])
    framing, body = _body(random, sent)
    return Ask(_request("PUT", f"/raw/{mark}", framing, body=body), 200, lambda body: body == sent)


def _wrong(random: random.Random, kind: str, mark: str) -> Ask:
    data = _request("GET", f"/loop/{mark}?q={mark}")  # the header is missing: FastAPI's own 422
    return Ask(data, 422, lambda body: json.loads(body)["detail"][0]["loc"] == ["header", "x-id"])


def _head(random: random.Random, kind: str, mark: str) -> Ask:
    return Ask(_request("HEAD", f"/loop/{mark}"), 405, lambda body: body == b"", head=True)


KINDS: dict[str, Callable[[random.Random, str, str], Ask]] = {
    "loop": _get,
    "call": _get,
    "sleep": _get,
    "block": _get,
    "post-loop": _post,
    "post-call": _post,
    "read": _read,
    "unread": _unread,
    "stream": _stream,
    "raw": _raw,
    "wrong": _wrong,
    "head": _head,
}
_SHARES = (6, 6, 2, 2, 3, 3, 1, 1, 1, 2, 1, 1)


def asks(random: random.Random, name: str, n: int) -> list[Ask]:
    """Return n requests of random kinds; the ids begin with `name`."""
    kinds = random.choices(list(KINDS), weights=_SHARES, k=n)
    return [KINDS[kind](random, kind, f"{name}-{i}") for i, kind in enumerate(kinds)]


async def _reply(reader: asyncio.StreamReader, head: bool) -> tuple[int, bytes]:
    while True:
        line = await reader.readuntil(b"\r\n")
        if not line.startswith(b"HTTP/1.1 "):
            raise ValueError(f"no response: {line!r}")
        status, length, chunked = int(line[9:12]), 0, False
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            field, _, value = line.lower().partition(b":")
            if field == b"content-length":
                length = int(value)
            elif field == b"transfer-encoding":
                chunked = True
        if status >= 200:
            break
    if head:
        return status, b""
    if not chunked:
        return status, await reader.readexactly(length)
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    if await reader.readexactly(2) != b"\r\n":
        raise ValueError("no end after the last chunk")
    return status, body


async def client(port: int, seed: int, name: str, n: int) -> int:
    """Send n requests on one connection, check the answers in order, and return how many came.

    The requests stand in groups that are sent at once, up to eight; a group's bytes are cut anywhere.
    """
    chance = random.Random(f"{seed}-{name}")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    todo, done = asks(chance, name, n), 0
    try:
        while todo:
            size = chance.randrange(1, 9)
            group, todo = todo[:size], todo[size:]
            sending = asyncio.create_task(_send(chance, writer, b"".join(ask.data for ask in group)))
            for ask in group:
                status, body = await _reply(reader, ask.head)
                assert (status, ask.expect(body)) == (ask.status, True), (seed, ask.data[:300], status, body[:300])
                done += 1
            await sending
        writer.write_eof()
        assert await reader.read() == b"", "more answers than requests"
    finally:
        writer.close()
    return done


async def _send(chance: random.Random, writer: asyncio.StreamWriter, data: bytes) -> None:
    style = chance.choice(["whole", "cut", "crumbs"])
    at = 0
    while at < len(data):
        size = {"whole": len(data), "cut": chance.randrange(1, 3000), "crumbs": chance.randrange(1, 12)}[style]
        if style == "crumbs" and at > 600:
            style = "cut"
        writer.write(data[at : at + size])
        at += size
        if style != "whole":
            await asyncio.sleep(0 if chance.random() < 0.8 else 0.002)
    await writer.drain()
