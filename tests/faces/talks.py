"""The table of applications with WebSocket routes, each with conversations that show one thing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import (
    APIRouter,
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Query,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
)
from fastapi.exceptions import WebSocketRequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.requests import HTTPConnection
from fastapi.security import SecurityScopes
from starlette.endpoints import WebSocketEndpoint
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import WebSocketRoute

from tests.websocket.peer import close, frame

from .talk import READ, REST, Talk, say
from .trace import Trace, where

__all__ = ["TALKS", "Told"]


@dataclass(frozen=True, slots=True)
class Told:
    """One application.

    fallback: the paths of WebSocket routes that need not be compiled. sometimes: the same with old releases.
    """

    factory: Callable[[Trace], FastAPI]
    talks: tuple[Talk, ...]
    fallback: frozenset[str]
    sometimes: frozenset[str]


TALKS: dict[str, Told] = {}
BYE = [close(1000, "bye"), REST]


def told(
    *talks: Talk, fallback: tuple[str, ...] = (), sometimes: tuple[str, ...] = ()
) -> Callable[[Callable[[Trace, FastAPI], FastAPI | None]], None]:
    def add(make: Callable[[Trace, FastAPI], FastAPI | None]) -> None:
        def factory(trace: Trace) -> FastAPI:
            app = FastAPI(openapi_url=None)
            return make(trace, app) or app

        TALKS[make.__name__] = Told(factory, talks, frozenset(fallback), frozenset(sometimes))

    return add


@told(
    Talk("/text", [*say("a", "é€😀", ""), *BYE]),
    Talk("/text", [*say("a"), frame("bytes", b"x"), REST]),
    Talk("/text", [*say("a"), close(None), REST]),
    Talk("/text", [*say("a"), close(4321, "x" * 100), REST]),
    Talk("/text", [*say("a"), lambda peer: peer.reset()]),
    Talk("/bytes", [frame("bytes", b"\0\xff"), READ, frame("bytes"), READ, *BYE]),
    Talk("/bytes", [frame("text", "a"), REST]),
    Talk("/json", [*say('{"a": [1, "é"]}', "null"), *BYE]),
    Talk("/json", [frame("text", "no"), REST]),
    Talk("/json?mode=binary", [frame("bytes", b"[1]"), READ, *BYE]),
    Talk("/json?mode=odd", [REST]),
    Talk("/raw", [*say("a"), frame("bytes", b"b"), READ, *BYE]),
)
def ways_to_listen(trace: Trace, app: FastAPI) -> None:
    @app.websocket("/text")
    async def text(websocket: WebSocket) -> None:
        await websocket.accept()
        async for each in websocket.iter_text():
            trace("got", each, where())
            await websocket.send_text(each)
        trace("end", websocket.client_state, websocket.application_state)

    @app.websocket("/bytes")
    async def data(websocket: WebSocket) -> None:
        await websocket.accept()
        async for each in websocket.iter_bytes():
            await websocket.send_bytes(each)
        trace("end", websocket.client_state)

    @app.websocket("/json")
    async def objects(websocket: WebSocket, mode: str = "text") -> None:
        await websocket.accept()
        while True:
            await websocket.send_json(await websocket.receive_json(mode), mode)

    @app.websocket("/raw")
    async def raw(websocket: WebSocket) -> None:
        await websocket.accept()
        while (message := await websocket.receive())["type"] != "websocket.disconnect":
            await websocket.send({**message, "type": "websocket.send"})
        trace(message)


@told(
    Talk("/items/7?q=b&n=1&n=2", [REST], {"x_token": "t", "cookie": "c=d"}),
    Talk("/items/7", [REST]),
    Talk("/items/seven?q=b", [REST], {"x_token": "t"}),
    Talk("/items/007?q=b&n=x", [REST], {"x_token": "t"}),
    Talk("/files/a/b%20c", [REST]),
    Talk("/uuid/00000000-0000-0000-0000-0000000000AB", [REST]),
    Talk("/uuid/nothing", [REST]),
    Talk("/float/1.50", [REST]),
    Talk("/float/x", [REST]),
    Talk("/nowhere", [REST]),
    Talk("/items/7/", [REST]),
    sometimes=("/uuid/{key:uuid}",),
)
def parameters(trace: Trace, app: FastAPI) -> None:
    @app.websocket("/items/{item}")
    async def items(
        websocket: WebSocket,
        item: int,
        q: Annotated[str, Query(max_length=1)],
        x_token: Annotated[str, Header()],
        n: Annotated[list[int] | None, Query()] = None,
        c: Annotated[str | None, Cookie()] = None,
    ) -> None:
        await websocket.accept()
        await websocket.send_json([item, q, x_token, n, c])

    @app.websocket("/files/{path:path}")
    async def files(websocket: WebSocket, path: str) -> None:
        await websocket.accept()
        await websocket.send_json([path, websocket.path_params, str(websocket.url.path)])

    @app.websocket("/float/{x:float}")
    async def number(websocket: WebSocket, x: float) -> None:
        await websocket.accept()
        await websocket.send_json(x)

    @app.websocket("/uuid/{key:uuid}")
    async def uuid(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(repr(websocket.path_params))


@told(
    Talk("/?who=a", [*say("x"), *BYE]),
    Talk("/?who=a", [frame("text", "raise"), REST]),
    Talk("/?who=a", [frame("text", "policy"), REST]),
    Talk("/?who=stop", [REST]),
    Talk("/?who=policy", [REST]),
    Talk("/?who=http", [REST]),
    Talk("/?who=break", [REST]),
    Talk("/?who=swallow", [frame("text", "raise"), REST]),
    Talk("/", [REST]),
    Talk("/?who=a", [lambda peer: peer.reset()]),
)
def dependencies(trace: Trace, app: FastAPI) -> None:
    def one(connection: HTTPConnection, who: str) -> Iterator[str]:
        trace("one", where(), type(connection).__name__)
        if who == "http":
            raise HTTPException(418, "tea", {"x-a": "b"})
        try:
            yield who
        except Exception as error:
            trace("one hears", repr(error))
            if who != "swallow":
                raise
        finally:
            trace("one ends", where())

    async def two(name: Annotated[str, Depends(one)], tasks: BackgroundTasks) -> AsyncIterator[str]:
        trace("two", where())
        tasks.add_task(trace, "in the background")
        if name == "policy":
            raise WebSocketException(1008, "no")
        try:
            yield name.upper()
        finally:
            trace("two ends")

    class Three:
        def __init__(self, again: Annotated[str, Depends(one)], scopes: SecurityScopes) -> None:
            trace("three", again, scopes.scopes)
            if again == "break":
                raise ValueError("broken")

    def guard(websocket: WebSocket) -> None:
        trace("guard", websocket.query_params)
        if websocket.query_params.get("who") == "stop":
            raise WebSocketDisconnect(1001)

    @app.websocket("/", dependencies=[Depends(guard)])
    async def talk(websocket: WebSocket, two: Annotated[str, Depends(two)], three: Annotated[Three, Depends()]) -> None:
        trace("talk", two, type(three).__name__)
        await websocket.accept()
        while True:
            said = await websocket.receive_text()
            if said == "raise":
                raise ValueError(said)
            if said == "policy":
                raise WebSocketException(code=4000, reason="why")
            await websocket.send_text(two + said)


@told(
    *(
        Talk(f"/{when}/{what}", [REST])
        for when in ("before", "after")
        for what in ("value", "key", "socket", "http", "base")
    ),
    Talk("/before/validation?n=x", [REST]),
    Talk("/needs", [REST]),
)
def handlers_of_exceptions(trace: Trace, app: FastAPI) -> None:
    async def on_value(websocket: WebSocket, exc: Exception) -> None:
        trace("value", type(websocket).__name__, websocket.application_state, exc)
        await websocket.close(4001, "value")

    def on_key(websocket: WebSocket, exc: Exception) -> Any:
        trace("key", where())
        return PlainTextResponse("key", 409) if websocket.application_state.name == "CONNECTING" else None

    async def on_validation(websocket: WebSocket, exc: WebSocketRequestValidationError) -> None:
        trace("validation", json.dumps(exc.errors(), default=str))
        await websocket.close(4002, "invalid")

    async def on_socket(websocket: WebSocket, exc: WebSocketException) -> None:
        trace("socket", exc.code, exc.reason)
        await websocket.close(exc.code + 1, exc.reason)

    app.add_exception_handler(ValueError, on_value)  # type: ignore[arg-type]
    app.add_exception_handler(KeyError, on_key)  # type: ignore[arg-type]
    app.add_exception_handler(WebSocketRequestValidationError, on_validation)  # type: ignore[arg-type]
    app.add_exception_handler(WebSocketException, on_socket)  # type: ignore[arg-type]

    class Base(Exception):
        pass

    what_is = {
        "value": lambda: ValueError("v"),
        "key": lambda: KeyError("k"),
        "socket": lambda: WebSocketException(4010, "s"),
        "http": lambda: HTTPException(404, "h"),
        "base": Base,
    }

    @app.websocket("/{when}/{what}")
    async def talk(websocket: WebSocket, when: str, what: str, n: int = 0) -> None:
        if when == "after":
            await websocket.accept()
        raise what_is[what]()

    @app.websocket("/needs")
    async def needs(websocket: WebSocket, q: str) -> None:
        raise AssertionError


@told(*(Talk(f"/{what}", [REST]) for what in ("value", "key", "http")))
def outermost_handler(trace: Trace, app: FastAPI) -> None:
    @app.exception_handler(Exception)
    async def any_at_all(websocket: WebSocket, exc: Exception) -> None:
        trace("any", repr(exc))

    @app.exception_handler(KeyError)
    async def again(websocket: WebSocket, exc: KeyError) -> None:
        trace("again", type(websocket).__name__)
        raise RuntimeError("in the handler")

    @app.websocket("/{what}")
    async def talk(websocket: WebSocket, what: str) -> None:
        raise {"value": ValueError, "key": KeyError, "http": lambda: HTTPException(503)}[what]()


@told(
    Talk("/protocol", [REST], {"sec_websocket_protocol": "a, chat , b"}),
    Talk("/protocol", [REST]),
    Talk("/headers", [REST]),
    Talk("/denial", [REST]),
    Talk("/close?code=1000&reason=", [REST]),
    Talk("/close?code=1001&reason=x", [REST]),
    Talk("/close?code=4999&reason=é", [REST]),
    Talk("/close?code=1005&reason=", [REST]),
    Talk("/close?code=3000&reason=x&first=1", [REST]),
    Talk("/nothing", [REST]),
    Talk("/return", [REST]),
    Talk("/twice", [REST]),
    Talk("/early", [REST]),
    Talk("/late", [frame("text", "a"), REST]),
    Talk("/gone", [*BYE]),
)
def beginnings_and_ends(trace: Trace, app: FastAPI) -> None:
    async def tried(name: str, call: Any) -> None:
        try:
            trace(name, repr(await call))
        except Exception as error:
            trace(name, repr(error), getattr(error, "code", ""), getattr(error, "reason", ""))

    @app.websocket("/protocol")
    async def protocol(websocket: WebSocket) -> None:
        offered = websocket.scope["subprotocols"]
        await websocket.accept("chat" if "chat" in offered else None)
        await websocket.send_json(offered)

    @app.websocket("/headers")
    async def headers(websocket: WebSocket) -> None:
        await websocket.accept(headers=[(b"x-a", b"b"), (b"set-cookie", b"c=d")])

    @app.websocket("/denial")
    async def denial(websocket: WebSocket) -> None:
        await websocket.send_denial_response(JSONResponse({"no": 1}, 402, {"x-a": "b"}))
        trace(websocket.application_state)

    @app.websocket("/close")
    async def closes(websocket: WebSocket, code: int, reason: str, first: bool = False) -> None:
        if not first:
            await websocket.accept()
        await websocket.close(code, reason)
        await tried("again", websocket.close())
        await tried("send", websocket.send_text("a"))
        await tried("bytes", websocket.send_bytes(b"a"))
        await tried("receive", websocket.receive())
        await tried("text", websocket.receive_text())

    @app.websocket("/nothing")
    async def nothing(websocket: WebSocket) -> None:
        pass

    @app.websocket("/return")
    async def returns(websocket: WebSocket) -> None:
        await websocket.accept()

    @app.websocket("/twice")
    async def twice(websocket: WebSocket) -> None:
        await websocket.accept()
        await tried("accept", websocket.accept())
        await tried("lone surrogate", websocket.send_text("\ud800"))
        await tried("bytes as text", websocket.send_text(b"a"))  # type: ignore[arg-type]
        await tried("text as bytes", websocket.send_bytes("a"))  # type: ignore[arg-type]
        await tried("bytearray", websocket.send_bytes(bytearray(b"ab")))
        await tried("odd", websocket.send({"type": "websocket.odd"}))
        await websocket.send_text("still here")

    @app.websocket("/early")
    async def early(websocket: WebSocket) -> None:
        await tried("text", websocket.receive_text())
        await tried("bytes", websocket.receive_bytes())
        await tried("json", websocket.receive_json())
        await tried("send", websocket.send_text("a"))
        await tried("iter", websocket.iter_text().__anext__())
        await websocket.accept()
        await websocket.send_text("a")

    @app.websocket("/late")
    async def late(websocket: WebSocket) -> None:
        await websocket.accept()
        trace(await websocket.receive_text())
        await websocket.close(4000)
        await tried("text", websocket.receive_text())
        trace([each async for each in websocket.iter_text()] if websocket.client_state.name == "DISCONNECTED" else "")

    @app.websocket("/gone")
    async def gone(websocket: WebSocket) -> None:
        await websocket.accept()
        await tried("bytes", websocket.receive_bytes())
        for name in ("receive", "receive_text", "receive_json"):
            await tried(name, getattr(websocket, name)())
        await tried("send", websocket.send_text("a"))
        await tried("send", websocket.send_text("a"))
        await tried("close", websocket.close())


@told(
    Talk("/v1/inner/x", [REST]),
    Talk("/v1/inner/deep/y", [REST]),
    Talk("/plain/z", [REST]),
    Talk("/class", [*say("a"), *BYE]),
    Talk("/sub/ws", [REST]),
    Talk("/sub/nothing", [REST]),
    Talk("/sub", [REST]),
    Talk("/both", [REST]),
    Talk("/shadowed/a", [REST]),
    fallback=("/class", "/sub/ws"),
)
def routers_and_mounts(trace: Trace, app: FastAPI) -> None:
    async def where_am_i(websocket: WebSocket) -> None:
        await websocket.accept()
        scope = websocket.scope
        found = scope.get("fastapi", {})
        route = scope.get("route")
        await websocket.send_json(
            [
                sorted(key for key in scope if scope[key] != {}),
                getattr(route, "path", None),
                type(route).__name__,
                scope["root_path"],
                scope["path"],
                scope["endpoint"].__name__,
                scope["path_params"],
                sorted(map(str, found)),
                [type(each).__name__ for each in found.values()],
                type(scope["router"]).__name__,
                str(websocket.url_for("where_am_i", name="n")),
                isinstance(websocket, WebSocket),
                type(websocket).__name__,
                websocket.headers["host"],
                websocket.app is app,
            ]
        )

    deep = APIRouter(prefix="/deep", dependencies=[Depends(lambda: trace("deep"))])
    deep.websocket("/{name}")(where_am_i)
    inner = APIRouter(prefix="/inner", dependencies=[Depends(lambda: trace("inner"))])
    inner.add_api_websocket_route("/{name}", where_am_i)
    inner.include_router(deep)
    app.include_router(inner, prefix="/v1", dependencies=[Depends(lambda: trace("v1"))])
    app.router.routes.append(WebSocketRoute("/plain/{name}", where_am_i))

    class Echo(WebSocketEndpoint):
        encoding = "text"

        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            await websocket.send_text(data)

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            trace("closed", close_code)

    app.router.routes.append(WebSocketRoute("/class", Echo))
    sub = FastAPI(openapi_url=None)
    sub.websocket("/ws", name="where_am_i")(where_am_i)
    app.mount("/sub", sub)

    @app.get("/both")
    def page() -> str:
        return "page"

    @app.websocket("/both")
    async def both(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("socket")

    @app.websocket("/shadowed/{a}")
    async def first(websocket: WebSocket, a: str) -> None:
        await websocket.accept()
        await websocket.send_text("first")

    app.websocket("/shadowed/a")(where_am_i)


@told(Talk("/", [REST]), Talk("/", [REST]))
def overrides_and_state(trace: Trace, app: FastAPI) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        app.state.count = 0
        yield {"of": "lifespan"}

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    def given() -> str:
        return "given"

    def other(websocket: WebSocket) -> str:
        trace("other")
        return "other"

    app.dependency_overrides[given] = other

    @app.websocket("/")
    async def talk(websocket: WebSocket, given: Annotated[str, Depends(given)]) -> None:
        websocket.app.state.count += 1
        await websocket.accept()
        await websocket.send_json([given, websocket.state.of, websocket.app.state.count])
        if websocket.app.state.count == 1:
            app.dependency_overrides.clear()

    return app


@told(Talk("/ws", [*say("a"), *BYE], {"origin": "http://a"}), sometimes=("/ws",))
def middleware_of_requests(trace: Trace, app: FastAPI) -> None:
    @app.middleware("http")
    async def timing(request: Any, call_next: Any) -> Any:
        trace("never")
        return await call_next(request)

    app.add_middleware(CORSMiddleware, allow_origins=["*"])

    @app.websocket("/ws")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.send_text(await websocket.receive_text())


@told(Talk("/ws", [*say("a"), *BYE]), fallback=("/ws",))
def middleware_of_sockets(trace: Trace, app: FastAPI) -> None:
    class Seen:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def noted() -> Any:
                message = await receive()
                trace(message)
                return message

            await self.app(scope, noted, send)

    app.add_middleware(Seen)

    @app.websocket("/ws")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.send_text(await websocket.receive_text())


@told(
    Talk("/tasks", [*say("a", "b"), frame("text", "stop"), REST]),
    Talk("/tasks", [*say("a"), *BYE]),
    Talk("/timeout", [READ, frame("text", "late"), READ, *BYE]),
    Talk("/cancel", [READ, *say("after"), *BYE]),
    Talk("/two", [*say("a", "b"), *BYE]),
    Talk("/patched", [*say("a"), frame("bytes", b"b"), *BYE]),
    Talk("/iterators", [frame("text", "a"), frame("text", "b"), frame("text", "c"), READ, *BYE]),
    Talk("/many", [REST]),
)
def tasks_and_patches(trace: Trace, app: FastAPI) -> None:
    @app.websocket("/tasks")
    async def tasks(websocket: WebSocket) -> None:
        await websocket.accept()
        stop = asyncio.Event()

        async def listen() -> None:
            async for text in websocket.iter_text():
                trace("got", text)
                if text == "stop":
                    stop.set()
                else:
                    await asyncio.create_task(websocket.send_text(text))

        listening = asyncio.create_task(listen())
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({listening, stopping}, return_when=asyncio.FIRST_COMPLETED)
        trace(listening in done, stopping in done)
        for task in (listening, stopping):
            task.cancel()

    @app.websocket("/timeout")
    async def timeout(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await asyncio.wait_for(websocket.receive_text(), 0.01)
        except TimeoutError:
            await websocket.send_text("timeout")
        await websocket.send_text(await asyncio.wait_for(websocket.receive_text(), 60))
        try:
            await asyncio.wait_for(websocket.receive_text(), 60)
        except WebSocketDisconnect as error:
            trace(error.code, error.reason)

    @app.websocket("/cancel")
    async def cancel(websocket: WebSocket) -> None:
        await websocket.accept()
        task = asyncio.create_task(websocket.receive_text())
        await asyncio.sleep(0)
        task.cancel("why")
        try:
            await task
        except asyncio.CancelledError as error:
            trace(repr(error), task.cancelled())
        await websocket.send_text("cancelled")
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    @app.websocket("/two")
    async def two(websocket: WebSocket) -> None:
        await websocket.accept()

        async def listen(name: str) -> None:
            try:
                while True:
                    text = await websocket.receive_text()
                    trace("got", text)
                    await websocket.send_text(text)
            except WebSocketDisconnect as error:
                trace("over", error.code)

        await asyncio.gather(listen("one"), listen("two"))

    @app.websocket("/patched")
    async def patched(websocket: WebSocket) -> None:
        await websocket.accept()
        receive, send = websocket.receive, websocket._send

        async def noted_receive() -> Any:
            message = await receive()
            trace("in", message)
            return message

        async def noted_send(message: Any) -> None:
            trace("out", message)
            await send(message)

        websocket.receive = noted_receive  # type: ignore[method-assign]
        websocket._send = noted_send
        await websocket.send_text(await websocket.receive_text())
        trace(await websocket.receive_bytes())
        trace([each async for each in websocket.iter_text()])

    @app.websocket("/iterators")
    async def iterators(websocket: WebSocket) -> None:
        await websocket.accept()
        texts = websocket.iter_text()
        trace(await anext(texts))
        trace(await texts.__anext__())
        await texts.aclose()  # type: ignore[attr-defined]
        try:
            await anext(texts)
        except StopAsyncIteration:
            trace("closed")
        async for text in websocket.iter_text():
            await websocket.send_text(text)
        trace("end")

    @app.websocket("/many")
    async def many(websocket: WebSocket) -> None:
        await websocket.accept()
        for number in range(300):
            await websocket.send_text(str(number) * 500)
