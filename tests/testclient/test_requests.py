"""Requests and answers: what a caller sees is what Starlette's test client shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, Cookie, FastAPI, File, Form, Request, Response, UploadFile
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel

from tests.testclient.both import Both, shape


class Item(BaseModel):
    name: str
    price: float = 1.5


def shop() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def root() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/items/{item_id}")
    def item(item_id: int, q: str | None = None) -> dict[str, Any]:
        return {"item_id": item_id, "q": q}

    @app.post("/items", status_code=201)
    async def create(item: Item) -> Item:
        return item

    @app.api_route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], include_in_schema=False)
    async def echo(request: Request) -> dict[str, Any]:
        return {
            "method": request.method,
            "url": str(request.url),
            "path": request.scope["path"],
            "raw_path": request.scope["raw_path"].decode(),
            "query": request.scope["query_string"].decode(),
            "root_path": request.scope["root_path"],
            "scheme": request.scope["scheme"],
            "client": request.client,
            "server": request.scope["server"],
            "headers": [(name.decode(), value.decode()) for name, value in request.scope["headers"]],
            "body": (await request.body()).decode("latin-1"),
        }

    @app.post("/form")
    async def form(name: str = Form(), files: list[UploadFile] = File(default=[])) -> dict[str, Any]:
        return {"name": name, "files": [(file.filename, (await file.read()).decode()) for file in files]}

    @app.get("/cookie")
    async def cookie(response: Response, seen: str | None = Cookie(default=None)) -> dict[str, str | None]:
        response.set_cookie("seen", "yes")
        return {"seen": seen}

    @app.get("/old")
    async def old() -> RedirectResponse:
        return RedirectResponse("/items/7?q=new")

    @app.get("/html", response_class=HTMLResponse)
    def html() -> str:
        return "<p>é</p>"

    @app.get("/twice")
    def twice() -> Response:
        response = PlainTextResponse("twice")
        response.headers.append("X-Twice", "1")
        response.headers.append("X-Twice", "2")
        return response

    @app.get("/nothing", status_code=204)
    def nothing() -> None:
        return None

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for number in range(5):
                yield b"part %d\n" % number

        return StreamingResponse(parts(), media_type="text/plain")

    @app.get("/background")
    def background(tasks: BackgroundTasks) -> int:
        tasks.add_task(app.state.done.append, "task")
        return len(app.state.done)

    app.state.done = []
    return app


CALLS: dict[str, tuple[Any, ...]] = {
    "get": ("GET", "/"),
    "parameters": ("GET", "/items/3", {"params": {"q": "a b&c"}}),
    "validation error": ("GET", "/items/x"),
    "json": ("POST", "/items", {"json": {"name": "pen"}}),
    "json refused": ("POST", "/items", {"json": {"price": "much"}}),
    "not found": ("GET", "/none"),
    "not allowed": ("DELETE", "/items/3"),
    "scope": ("GET", "/echo?a=1&a=%20%C3%A9#part"),
    "path with escapes": ("GET", "/none/%C3%A9%2F x"),
    "content": ("POST", "/echo", {"content": b"\x00raw"}),
    "content from a generator": ("PUT", "/echo", {"content": (part for part in [b"one", b"", b"two"])}),
    "text": ("PATCH", "/echo", {"content": "text"}),
    "own headers": ("GET", "/echo", {"headers": [("X-A", "1"), ("X-A", "2"), ("User-Agent", "me")]}),
    "basic auth": ("GET", "/echo", {"auth": ("user", "secret")}),
    "cookies": ("GET", "/echo", {"headers": {"Cookie": "a=1"}}),
    "options": ("OPTIONS", "/echo"),
    "head": ("HEAD", "/"),
    "another host": ("GET", "http://other.example:81/echo"),
    "https": ("GET", "https://other.example/echo"),
    "form": ("POST", "/form", {"data": {"name": "Ann"}}),
    "files": ("POST", "/form", {"data": {"name": "Ann"}, "files": [("files", ("a.txt", b"one", "text/plain"))]}),
    "form missing": ("POST", "/form"),
    "set cookie": ("GET", "/cookie"),
    "redirect": ("GET", "/old"),
    "redirect not followed": ("GET", "/old", {"follow_redirects": False}),
    "slash": ("GET", "/items/3/"),
    "html": ("GET", "/html"),
    "twice": ("GET", "/twice"),
    "no content": ("GET", "/nothing"),
    "stream": ("GET", "/stream"),
    "openapi": ("GET", "/openapi.json"),
    "docs": ("GET", "/docs"),
}


def prepared(call: tuple[Any, ...]) -> tuple[str, str, dict[str, Any]]:
    """Return the call with a generator of its own: one can be used once only."""
    method, url, *more = call
    options = dict(more[0]) if more else {}
    if not isinstance(options.get("content", b""), (str, bytes)):
        options["content"] = (part for part in [b"one", b"", b"two"])
    if isinstance(options.get("data"), dict) and "files" in options:
        # The boundary is random otherwise.
        options["headers"] = {"content-type": "multipart/form-data; boundary=between"}
    return method, url, options


@pytest.mark.parametrize("name", CALLS)
def test_one_request(both: Both, name: str) -> None:
    def do(client: Any) -> Any:
        method, url, options = prepared(CALLS[name])
        return shape(client.request(method, url, **options))

    found = both(shop, do)
    assert found["status"] < 500


def test_many_requests_of_one_client_share_its_cookies(both: Both) -> None:
    def do(client: Any) -> Any:
        first, second = client.get("/cookie").json(), client.get("/cookie").json()
        return first, second, dict(client.cookies)

    assert both(shop, do) == ({"seen": None}, {"seen": "yes"}, {"seen": "yes"})


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "https://example.org:444/api/"},
        {"headers": {"X-Default": "1"}},
        {"cookies": {"a": "1"}},
        {"client": ("10.0.0.7", 1234)},
        {"follow_redirects": False},
        {"root_path": "/shop"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_of_the_client(both: Both, options: dict[str, Any]) -> None:
    def do(client: Any) -> Any:
        return [shape(client.get(url)) for url in ("/echo", "echo", "/old", "/shop/echo", "/items/3", "/shop/items/3/")]

    both(shop, do, **options)


def test_requests_without_with(both: Both) -> None:
    both(shop, lambda client: [shape(client.get("/items/4")), shape(client.get("/cookie"))], enter=False)


def test_background_tasks_are_done_when_a_request_returns(both: Both) -> None:
    def do(client: Any) -> Any:
        return [client.get("/background").json() for _ in range(3)], client.app.state.done

    assert both(shop, do) == ([0, 1, 2], ["task"] * 3)


def test_streamed_answer(both: Both) -> None:
    def do(client: Any) -> Any:
        with client.stream("GET", "/stream") as response:
            lines = list(response.iter_lines())
        return lines, response.is_closed

    assert both(shop, do)[0] == [f"part {number}" for number in range(5)]


@pytest.mark.parametrize("path", ["/gen", "/agen", "/waiting", "/large", "/asgi"])
@pytest.mark.parametrize("how", ["iter_raw", "iter_bytes", "iter_text"])
def test_parts_of_a_streamed_answer(both: Both, path: str, how: str) -> None:
    def make() -> FastAPI:
        app = FastAPI()

        async def numbered(count: int, *, wait: bool = False, size: int = 1) -> AsyncIterator[str]:
            for number in range(count):
                yield str(number) * size
                if wait:
                    await asyncio.sleep(0)

        app.add_api_route("/gen", lambda: StreamingResponse(iter(["one", "", "two", "three"])))
        app.add_api_route("/agen", lambda: StreamingResponse(numbered(5)))
        app.add_api_route("/waiting", lambda: StreamingResponse(numbered(5, wait=True)))
        app.add_api_route("/large", lambda: StreamingResponse(numbered(3, size=30_000)))

        async def raw(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for part in (b"a", b"", b"b"):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"c"})

        app.mount("/asgi", raw)
        return app

    def do(client: Any) -> Any:
        with client.stream("GET", path) as response:
            return list(getattr(response, how)())

    assert len(both(make, do)) > 2


def test_large_bodies_both_ways(both: Both) -> None:
    def make() -> FastAPI:
        app = FastAPI()

        @app.post("/")
        async def back(request: Request) -> Response:
            return Response(await request.body())

        @app.post("/unread")
        async def unread() -> str:
            return "not read"

        return app

    body = bytes(range(256)) * 12_000

    def do(client: Any) -> Any:
        replies = client.post("/", content=body), client.post("/unread", content=body), client.post("/", content=b"x")
        return [(reply.status_code, len(reply.content), reply.content[-9:]) for reply in replies]

    both(make, do)


def test_a_body_is_read_while_the_answer_already_comes(both: Both) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = scope["type"] == "http"
        while more:
            message = await receive()
            more = message["more_body"]
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    body = b"0123456789" * 300_000
    client = both.client(app)
    assert client.post("/", content=body).content == body


def test_middleware_sees_the_same_scope(both: Both) -> None:
    def make() -> FastAPI:
        app = shop()
        app.add_middleware(CORSMiddleware, allow_origins=["https://a.example"])
        return app

    def do(client: Any) -> Any:
        return [shape(client.get(url, headers={"Origin": "https://a.example"})) for url in ("/", "/none", "/echo")]

    both(make, do)


def test_what_a_template_was_rendered_from(both: Both, tmp_path: Any) -> None:
    from fastapi.templating import Jinja2Templates

    (tmp_path / "page.html").write_text("Hello {{ name }}")

    def make() -> FastAPI:
        app = FastAPI()
        templates = Jinja2Templates(tmp_path)

        @app.get("/")
        def page(request: Request) -> Response:
            return templates.TemplateResponse(request, "page.html", {"name": "Ann"})

        return app

    def do(client: Any) -> Any:
        response = client.get("/")
        return response.text, response.template.name, response.context["name"]

    assert both(make, do) == ("Hello Ann", "page.html", "Ann")


def test_timeouts_are_said_to_do_nothing(both: Both) -> None:
    def do(client: Any) -> Any:
        with pytest.warns(Warning, match="^You should not use the 'timeout' argument with the TestClient") as said:
            client.get("/", timeout=3)
        return [warning.category.__name__ for warning in said]

    both(shop, do)
