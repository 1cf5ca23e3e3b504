"""What leaves the application reaches the caller, and nothing else is left of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

from tests.testclient.both import Both, outcome, shape


class Broken(Exception):
    """What the application raises."""


def broken(**options: Any) -> FastAPI:
    app = FastAPI(**options)

    @app.get("/def")
    def in_def() -> None:
        raise Broken("def")

    @app.get("/async")
    async def in_async() -> None:
        raise Broken("async")

    def given() -> Iterator[int]:
        yield 1
        raise Broken("after the answer")

    @app.get("/teardown")
    def teardown(value: int = Depends(given)) -> int:
        return value

    @app.get("/background")
    def background(tasks: BackgroundTasks) -> int:
        def later() -> None:
            raise Broken("background")

        tasks.add_task(later)
        return 1

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            yield "one"
            raise Broken("in the middle")

        return StreamingResponse(parts())

    @app.get("/http")
    def http() -> None:
        raise HTTPException(418, "teapot")

    @app.get("/result")
    def result() -> int:
        return "no number"  # type: ignore[return-value]

    @app.get("/fine")
    async def fine() -> str:
        return "fine"

    return app


PATHS = ("/def", "/async", "/teardown", "/background", "/stream", "/http", "/result")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("enter", [True, False], ids=["with", "without"])
def test_it_is_raised(both: Both, path: str, enter: bool) -> None:
    def do(client: Any) -> Any:
        first = outcome(lambda: shape(client.get(path)))
        return first, shape(client.get("/fine"))

    found = both(broken, do, enter=enter)
    assert ("raised" in found[0]) == (path != "/http")


@pytest.mark.parametrize("path", PATHS)
def test_it_is_answered_instead(both: Both, path: str) -> None:
    both(broken, lambda client: shape(client.get(path)), raise_server_exceptions=False)


@pytest.mark.parametrize("path", ["/def", "/async"])
def test_debug_page(both: Both, path: str) -> None:
    def do(client: Any) -> Any:
        response = client.get(path)
        return response.status_code, response.headers["content-type"], "Broken" in response.text

    assert both(lambda: broken(debug=True), do, raise_server_exceptions=False)[2]


@pytest.mark.parametrize("raises", [True, False])
def test_handlers_of_the_application(both: Both, raises: bool) -> None:
    def make() -> FastAPI:
        app = broken()

        @app.exception_handler(Broken)
        async def handled(request: Request, error: Broken) -> PlainTextResponse:
            return PlainTextResponse(f"handled: {error}", 400)

        return app

    def last(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("last", 500)

    def outermost() -> FastAPI:
        return broken(exception_handlers={Exception: last})

    for made in (make, outermost):
        for path in ("/def", "/async", "/result"):
            both(made, lambda client, path=path: shape(client.get(path)), raise_server_exceptions=raises)


def test_an_application_that_answers_nothing(both: Both) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        return None

    both(lambda: app, lambda client: client.get("/"), enter=False)


def test_an_exception_that_is_raised_is_not_logged(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with both.client(broken()) as client:
        for path in PATHS:
            outcome(lambda path=path: client.get(path))
    assert not [record for record in caplog.records if record.name.startswith("turboapi")]


def test_an_answer_that_breaks_off_is_not_logged(both: Both, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})

    caplog.set_level(logging.INFO)
    assert both(lambda: app, lambda client: shape(client.get("/")), enter=False)["content"] == b"one"
    assert not [record for record in caplog.records if record.name.startswith("turboapi")]


def test_each_caller_gets_its_own_exception(both: Both) -> None:
    from concurrent.futures import ThreadPoolExecutor

    app = FastAPI()

    @app.get("/{number}")
    def fail(number: int) -> None:
        raise Broken(number)

    @app.get("/async/{number}")
    async def fail_too(number: int) -> None:
        raise Broken(number)

    def ask(number: int) -> int:
        path = f"/async/{number}" if number % 2 else f"/{number}"
        with pytest.raises(Broken) as caught:
            client.get(path)
        return int(caught.value.args[0])

    with both.client(app) as client, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(64))) == list(range(64))


def lifespan_that(when: str) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        if when == "start":
            raise Broken("start")
        yield {"from": "lifespan"}
        if when == "end":
            raise Broken("end")

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    def root(request: Request) -> dict[str, Any]:
        return dict(request.state._state)

    return app


@pytest.mark.parametrize("when", ["never", "start", "end"])
def test_lifespan(both: Both, when: str) -> None:
    def do(client: Any) -> Any:
        return client.get("/").json(), dict(client.app_state)

    found = both(lambda: lifespan_that(when), do)
    assert found == ({"from": "lifespan"},) * 2 if when == "never" else found["raised"] == "Broken"


def test_without_with_no_lifespan_runs(both: Both) -> None:
    assert both(lambda: lifespan_that("start"), lambda client: client.get("/").json(), enter=False) == {}


def test_an_application_without_lifespan(both: Both) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise Broken(scope["type"])
        await PlainTextResponse("ok")(scope, receive, send)

    assert both(lambda: app, lambda client: client.get("/").text, enter=False) == "ok"
    assert both(lambda: app, lambda client: client.get("/").text)["raised"] == "Broken"
