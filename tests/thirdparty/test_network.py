"""Packages around the connection: httpx in handlers, server-sent events, Socket.IO, proxy headers; and pdb."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request


def test_httpx_in_handlers(serve: Any) -> None:
    back = FastAPI()

    @back.get("/slow/{number}")
    async def slow(number: int) -> int:
        await asyncio.sleep(0.001)
        return number

    base = str(serve(back).base_url)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with httpx.AsyncClient(base_url=base) as client:
            yield {"client": client}

    app = FastAPI(lifespan=lifespan)

    @app.get("/together")
    async def together(request: Request) -> list[int]:
        replies = await asyncio.gather(*(request.state.client.get(f"/slow/{number}") for number in range(10)))
        return [reply.json() for reply in replies]

    @app.get("/blocking")
    def blocking() -> int:
        with httpx.Client(base_url=base) as client:
            return int(client.get("/slow/7").json())

    client = serve(app)
    assert client.get("/together").json() == list(range(10))
    assert client.get("/blocking").json() == 7


def test_sse_starlette_sends_events_and_notices_a_client_that_leaves(serve: Any) -> None:
    from sse_starlette.sse import EventSourceResponse

    app = FastAPI()
    ended = asyncio.Event()

    @app.get("/three")
    async def three() -> EventSourceResponse:
        async def events() -> AsyncIterator[dict[str, Any]]:
            for number in range(3):
                yield {"event": "count", "id": str(number), "data": number}

        return EventSourceResponse(events())

    @app.get("/endless")
    async def endless() -> EventSourceResponse:
        async def events() -> AsyncIterator[str]:
            try:
                while True:
                    yield "more"
                    await asyncio.sleep(0.001)
            finally:
                ended.set()

        return EventSourceResponse(events())

    @app.get("/ended")
    async def wait() -> bool:
        return await asyncio.wait_for(ended.wait(), 10)

    client = serve(app)
    reply = client.get("/three")
    assert reply.headers["content-type"].startswith("text/event-stream")
    blocks = [block.split("\r\n") for block in reply.text.strip().split("\r\n\r\n")]
    assert [sorted(block) for block in blocks] == [sorted(["event: count", f"id: {n}", f"data: {n}"]) for n in range(3)]
    with client.stream("GET", "/endless") as stream:
        assert next(stream.iter_lines()) == "data: more"
    assert client.get("/ended").json() is True


def test_socketio_outermost_talks_by_polling_and_websocket(serve: Any) -> None:
    import socketio

    app = FastAPI()

    @app.get("/")
    async def root() -> str:
        return "fastapi"

    # Short, so that a poll that waits when its client leaves is answered soon.
    server = socketio.AsyncServer(async_mode="asgi", ping_interval=1, ping_timeout=2)

    @server.event
    async def double(sid: str, number: int) -> int:
        await server.emit("doubled", number * 2, to=sid)
        return number * 2

    client = serve(socketio.ASGIApp(server, app))
    assert client.get("/").json() == "fastapi"

    for transport in ("polling", "websocket"):
        with socketio.SimpleClient() as simple:
            simple.connect(str(client.base_url), transports=[transport])
            assert simple.transport == transport
            assert simple.call("double", 21) == 42
            assert simple.receive(timeout=10) == ["doubled", 42]


def test_socketio_mounted_tells_rooms_and_refuses_strangers(serve: Any) -> None:
    import socketio
    from socketio.exceptions import ConnectionError as NotConnected
    from socketio.exceptions import ConnectionRefusedError as Refused

    app = FastAPI()
    server = socketio.AsyncServer(async_mode="asgi", ping_interval=1, ping_timeout=2)
    app.mount("/ws", socketio.ASGIApp(server, socketio_path="/ws/socket.io"))

    @server.event
    async def connect(sid: str, environ: dict[str, Any], auth: dict[str, str] | None) -> None:
        if not auth:
            raise Refused("who are you?")
        await server.save_session(sid, {"name": auth["name"]})

    @server.event
    async def join(sid: str, room: str) -> str:
        await server.enter_room(sid, room)
        return "joined"

    @server.event
    async def say(sid: str, room: str, what: str) -> None:
        session = await server.get_session(sid)
        await server.emit("said", (session["name"], what), room=room, skip_sid=sid)

    @app.post("/say/{room}")
    async def everywhere(room: str) -> None:
        await server.emit("said", ("all", "from a route"), room=room)

    client = serve(app)
    url = str(client.base_url)
    with socketio.SimpleClient() as ann, socketio.SimpleClient() as bob, socketio.SimpleClient() as stranger:
        ann.connect(url, auth={"name": "ann"}, socketio_path="/ws/socket.io", transports=["websocket"], wait_timeout=20)
        bob.connect(url, auth={"name": "bob"}, socketio_path="/ws/socket.io", transports=["websocket"], wait_timeout=20)
        with pytest.raises(NotConnected, match="failed to connect"):
            stranger.connect(url, socketio_path="/ws/socket.io", transports=["websocket"], wait_timeout=20)
        assert [each.call("join", "kitchen", timeout=20) for each in (ann, bob)] == ["joined", "joined"]
        ann.emit("say", ("kitchen", "hello"))
        assert bob.receive(timeout=20) == ["said", "ann", "hello"]
        assert client.post("/say/kitchen").status_code == 200
        assert [each.receive(timeout=20) for each in (ann, bob)] == [["said", "all", "from a route"]] * 2


def test_proxy_headers_middleware_of_uvicorn(serve: Any, on_uvicorn: Any) -> None:
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    def make() -> Any:
        app = FastAPI()

        @app.get("/")
        def root(request: Request) -> list[Any]:
            return [request.url.scheme, request.client.host if request.client else None]

        return ProxyHeadersMiddleware(app, trusted_hosts="127.0.0.1")  # type: ignore[arg-type]

    ours, theirs = serve(make()), on_uvicorn(make())
    headers = {"X-Forwarded-For": "1.2.3.4, 5.6.7.8", "X-Forwarded-Proto": "https"}
    assert ours.get("/", headers=headers).json() == theirs.get("/", headers=headers).json() == ["https", "5.6.7.8"]
    assert ours.get("/").json() == ["http", "127.0.0.1"]


PDB = """
import sys, threading, urllib.request
from turboapi import App, Server

app = App()

@app.get("/{how}")
%sdef handler(how: str):
    found = how * 2
    breakpoint()
    return found

with Server(app, port=0, access_log=False) as server:
    with urllib.request.urlopen(server.url + "/ab") as reply:
        print("answer", reply.read().decode(), flush=True)
"""


def test_pdb_in_a_handler(tmp_path: Path) -> None:
    for kind in ("", "async "):
        script = tmp_path / "debugged.py"
        script.write_text(PDB % kind)
        done = subprocess.run(
            [sys.executable, str(script)],
            input="p found\nfound = 'changed'\nc\n",
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "'abab'" in done.stdout
        assert 'answer "changed"' in done.stdout
