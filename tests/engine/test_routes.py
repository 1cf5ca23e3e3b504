"""Routes while the server runs: what changes is seen at once, and compiled again soon."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from tests.conftest import eventually, get
from turboapi import Server, plan
from turboapi.engine import routes

Serve = Callable[..., Server]


def fallbacks(server: Server) -> int:
    return int(server.stats()["fallbacks"])


def asks_compiled(server: Server, path: str) -> bool:
    """Ask once; return whether the answer came from a plan."""
    before = fallbacks(server)
    assert get(server, path).status == 200
    return fallbacks(server) == before


def test_compiled_routes_run_from_plans(serve: Serve, transport: str) -> None:
    app = FastAPI()

    @app.get("/")
    async def root() -> int:
        return 1

    server = serve(app, transport=transport)
    assert asks_compiled(server, "/")


def test_route_added_while_running_is_there_at_once_and_compiled_soon(serve: Serve, transport: str) -> None:
    app = FastAPI()
    server = serve(app, transport=transport)
    assert get(server, "/new").status == 404

    @app.get("/new")
    async def new() -> str:
        return "new"

    assert get(server, "/new").data == b'"new"'
    eventually(lambda: asks_compiled(server, "/new"))


def test_route_removed_while_running_is_gone_at_once(serve: Serve, transport: str) -> None:
    app = FastAPI()

    @app.get("/old")
    async def old() -> str:
        return "old"

    server = serve(app, transport=transport)
    assert get(server, "/old").status == 200
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", "") != "/old"]
    assert get(server, "/old").status == 404


def test_override_is_seen_at_once_and_so_is_its_end(serve: Serve, transport: str) -> None:
    app = FastAPI()

    def user() -> str:
        return "real"

    @app.get("/")
    async def root(name: str = Depends(user)) -> str:
        return name

    server = serve(app, transport=transport)
    assert get(server).data == b'"real"'
    for _ in range(5):
        app.dependency_overrides[user] = lambda: "fake"
        assert get(server).data == b'"fake"'
        app.dependency_overrides.clear()
        assert get(server).data == b'"real"'
    eventually(lambda: asks_compiled(server, "/"))


def test_exception_handler_added_while_running_is_used(serve: Serve, transport: str) -> None:
    app = FastAPI()

    @app.get("/")
    async def root() -> None:
        raise HTTPException(418)

    server = serve(app, transport=transport)
    assert get(server).status == 418

    async def handler(request: Request, exc: Exception) -> JSONResponse:
        return JSONResponse("mine", 400)

    app.middleware_stack = None  # FastAPI reads the handlers when it builds this
    app.add_exception_handler(418, handler)
    assert (get(server).status, get(server).data) == (400, b'"mine"')


def test_application_that_cannot_be_compiled_runs_as_fallback(
    serve: Serve, transport: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(app: object) -> None:
        raise KeyError("inside")

    monkeypatch.setattr(plan, "compile_app", breaks)
    app = FastAPI()

    @app.get("/")
    async def root() -> int:
        return 1

    server = serve(app, transport=transport)
    assert not asks_compiled(server, "/")
    assert "could not be compiled" in caplog.text


def test_other_applications_have_no_plans() -> None:
    async def app(scope: object, receive: object, send: object) -> None: ...

    assert routes.compiled(app) is None
    assert routes.compiled(FastAPI()) is not None
