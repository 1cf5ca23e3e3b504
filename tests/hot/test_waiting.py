"""Waiting in receive() and send(): tasks made of them, timeouts, cancellation, several at once."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from starlette.requests import Request

from tests.conftest import PATIENCE, eventually, get
from turboapi import Server

Serve = Callable[..., Server]


def replies(found: Callable[[Request], Any]) -> Any:
    """An ASGI application that answers repr(await found(request))."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = repr(await found(Request(scope, receive, send))).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    return app


def slow_post(server: Server) -> socket.socket:
    """Send the head of a request whose body of two bytes is still to come."""
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    sock.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n")
    return sock


def rest_of(sock: socket.socket) -> bytes:
    with sock:
        found = b""
        while piece := sock.recv(65536):
            found += piece
    return found.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("how", ["create_task", "ensure_future", "wait_for", "gather", "shield"])
def test_receive_as_a_task(serve: Serve, loop_name: str, how: str) -> None:
    async def found(request: Request) -> Any:
        once = request.receive
        match how:
            case "create_task":
                return await asyncio.create_task(once())  # type: ignore[arg-type]
            case "ensure_future":
                return await asyncio.ensure_future(once())
            case "wait_for":
                return await asyncio.wait_for(once(), PATIENCE)
            case "gather":
                return (await asyncio.gather(once()))[0]
            case _:
                return await asyncio.shield(once())

    server = serve(replies(found), lifespan="off", loop=loop_name)
    assert get(server).data == repr({"type": "http.request", "body": b"", "more_body": False}).encode()
    sock = slow_post(server)
    sock.sendall(b"ab")
    assert rest_of(sock) in (
        repr({"type": "http.request", "body": b"ab", "more_body": False}).encode(),
        repr({"type": "http.request", "body": b"a", "more_body": True}).encode(),
    )


def test_send_as_a_task(serve: Serve) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.create_task(send({"type": "http.response.start", "status": 200, "headers": []}))
        await asyncio.create_task(send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True}))
        await asyncio.create_task(send({"type": "http.response.body", "body": b"y"}))

    assert len(get(serve(app, lifespan="off")).data) == 1_000_001


@pytest.mark.parametrize("how", ["wait_for", "timeout", "move_on_after", "task", "polled"])
def test_waiter_that_is_cancelled_takes_nothing_from_the_next(
    serve: Serve, transport: str, loop_name: str, how: str
) -> None:
    waiting = threading.Event()

    async def once(request: Request) -> None:
        match how:
            case "wait_for":
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(request.receive(), 0.001)
            case "timeout":
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.001):
                        await request.receive()
            case "move_on_after":
                with anyio.move_on_after(0.001):
                    await request.receive()
            case "task":
                task = asyncio.ensure_future(request.receive())
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.sleep(0)
                assert task.cancelled()
            case _:
                assert not await request.is_disconnected()

    async def found(request: Request) -> Any:
        for _ in range(3):
            await once(request)
        waiting.set()
        return await request.body()

    server = serve(replies(found), lifespan="off", transport=transport, loop=loop_name)
    sock = slow_post(server)
    assert waiting.wait(PATIENCE)
    sock.sendall(b"ab")
    assert rest_of(sock) == b"b'ab'"


def test_waiters_that_gave_up_are_forgotten(serve: Serve) -> None:
    async def found(request: Request) -> Any:
        await request.receive()
        for _ in range(300):
            with anyio.move_on_after(0):
                await request.receive()
            task = asyncio.ensure_future(request.receive())
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0)
        gc.collect()
        return sum(isinstance(thing, asyncio.Future) and thing.cancelled() for thing in gc.get_objects())

    assert int(get(serve(replies(found), lifespan="off", loop="asyncio")).data) < 50


def test_each_waiter_of_many_hears_that_the_client_left(serve: Serve, transport: str, loop_name: str) -> None:
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

        async def listen() -> None:
            heard.append((await receive())["type"])

        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(listen())
            leaver = group.create_task(listen())
            await asyncio.sleep(0)
            leaver.cancel()

    server = serve(app, lifespan="off", transport=transport, loop=loop_name)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        eventually(lambda: server.stats()["in_flight"] == 1)
    eventually(lambda: heard == ["http.disconnect"] * 5, lambda: repr(heard))


def test_waiter_hears_that_the_response_is_complete(serve: Serve) -> None:
    heard: list[str] = []
    ended = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        task = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})
        heard.append((await task)["type"])
        heard.append((await receive())["type"])
        ended.set()

    assert get(serve(app, lifespan="off")).status == 200
    assert ended.wait(PATIENCE)
    assert heard == ["http.disconnect"] * 2


def test_waiter_outlives_its_application(serve: Serve) -> None:
    heard: list[str] = []
    kept: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        loop = asyncio.get_running_loop()

        async def listen() -> None:
            heard.append((await receive())["type"])
            await send({"type": "http.response.body"})
            heard.append("sent")

        kept.append(loop.create_task(listen()))
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        kept.append((receive(), receive, send))
        raise ValueError("on purpose")

    server = serve(app, lifespan="off")
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        while sock.recv(65536):
            pass
    eventually(lambda: heard == ["http.disconnect", "sent"], lambda: repr(heard))


def test_protocol_of_the_awaitables(serve: Serve) -> None:
    async def found(request: Request) -> Any:
        seen = []
        ready = request.receive()
        try:
            ready.send(None)
        except StopIteration as stop:
            seen.append(stop.value["type"])
        with pytest.raises(KeyError, match="thrown"):
            ready.throw(KeyError("thrown"))
        ready.close()
        for pending in (request.receive(), request.receive()):
            future = pending.send(None)  # type: ignore[attr-defined]
            assert asyncio.isfuture(future)
            assert not future.done()
            with pytest.raises(ZeroDivisionError):
                pending.throw(ZeroDivisionError)  # type: ignore[attr-defined]
            pending.close()  # type: ignore[attr-defined]
            with pytest.raises(KeyError):
                pending.throw(KeyError, KeyError("x"), None)  # type: ignore[attr-defined]
            for wrong in ((), (1,), ("x", None), (KeyError, None, 1), (KeyError(), KeyError())):
                with pytest.raises(TypeError):
                    pending.throw(*wrong)  # type: ignore[attr-defined]
            seen.append(asyncio.iscoroutine(pending))
        return seen

    assert get(serve(replies(found), lifespan="off")).data == b"['http.request', True, True]"


def test_coroutine_that_is_closed_while_it_waits(serve: Serve) -> None:
    async def found(request: Request) -> Any:
        await request.receive()
        seen: list[str] = []

        async def listen() -> None:
            try:
                await request.receive()
            except GeneratorExit:
                seen.append("closed")
                raise
            except KeyError:
                seen.append("thrown")

        one, two, three = listen(), listen(), listen()
        for coroutine in (one, two, three):
            coroutine.send(None)
        one.close()
        with pytest.raises(StopIteration):
            two.throw(KeyError("x"))
        del three, coroutine
        gc.collect()
        return seen

    assert get(serve(replies(found), lifespan="off")).data == b"['closed', 'thrown', 'closed']"


def test_senders_that_wait_together_all_go_on(serve: Serve, transport: str, loop_name: str) -> None:
    """Several tasks fill one response while its client does not read, then it reads all."""
    size, n = 30_000, 40

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

        async def fill() -> None:
            for _ in range(n):
                await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(fill())
        await send({"type": "http.response.body"})

    server = serve(app, lifespan="off", transport=transport, loop=loop_name)
    assert len(get(server).data) == 8 * n * size
