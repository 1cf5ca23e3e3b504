"""`turboapi routes` for people and for pipelines."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from turboapi.cli import main

SOURCE = """
from contextlib import asynccontextmanager
from fastapi import FastAPI, WebSocket
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.routing import Match

@asynccontextmanager
async def lifespan(app):
    app.get("/late")(read)
    events.append("up")
    yield
    events.append("down")

events = []

async def read(n: int = 1): ...

class Own(APIRoute):
    async def handle(self, scope, receive, send): ...

class Picky(APIRoute):
    def matches(self, scope):
        return Match.NONE, {}

app = FastAPI(openapi_url=None, lifespan=lifespan)
app.get("/items/{n}", name="items")(read)
app.router.add_api_route("/legacy", read, methods=["POST", "PUT"], route_class_override=Own)
app.mount("/static", StaticFiles(directory="."), name="static")
app.host("api.test", FastAPI())

@app.websocket("/ws")
async def ws(socket: WebSocket): ...

@app.middleware("http")
async def add_header(request, call_next):
    return await call_next(request)

plain = FastAPI(openapi_url=None)
plain.get("/")(read)
picky = FastAPI(openapi_url=None)
picky.router.add_api_route("/picky", read, route_class_override=Picky)

async def raw(scope, receive, send): ...

@asynccontextmanager
async def broken_lifespan(app):
    raise LookupError("no database")
    yield

broken = FastAPI(lifespan=broken_lifespan)
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    (tmp_path / "listed_routes.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def ask(name: str, *options: str) -> tuple[int, str, str]:
        code = main(["routes", f"listed_routes:{name}", *options])
        return code, *capfd.readouterr()

    yield ask
    sys.modules.pop("listed_routes", None)


def found(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["path"]: each for each in document["routes"]}


def test_text_says_what_mounts_and_hosts_lead_to(run: Run) -> None:
    code, out, _ = run("app")
    assert code == 0
    lines = {line.split()[1]: line.split(maxsplit=2) for line in out.splitlines()}
    assert lines["/static"][0] == "mount"
    assert lines["/static"][2].endswith("(starlette.staticfiles.StaticFiles)")
    assert lines["//api.test"][0] == "host"
    assert lines["//api.test"][2].endswith("(fastapi.applications.FastAPI)")
    assert lines["/ws"][0] == "websocket"
    assert lines["/items/{n}"][0] == "GET"


def test_json_has_everything(run: Run) -> None:
    code, out, _ = run("app", "--format", "json")
    assert code == 0
    document = json.loads(out)
    routes = found(document)
    assert (document["app"], document["fastapi"], document["notice"]) == ("listed_routes:app", True, None)
    assert routes["/items/{n}"] == {
        "kind": "http", "methods": ["GET"], "path": "/items/{n}", "name": "items", "target": "listed_routes.read",
        "compiled": True, "reason": None,
    }  # fmt: skip
    assert routes["/legacy"]["methods"] == ["POST", "PUT"]
    assert "handles requests in its own way" in routes["/legacy"]["reason"]
    assert {path: each["kind"] for path, each in routes.items()} == {
        "/items/{n}": "http", "/legacy": "http", "/static": "mount", "//api.test": "host", "/ws": "websocket",
    }  # fmt: skip
    assert document["middleware"] == [{"name": "BaseHTTPMiddleware", "outcome": "compiled"}]
    compiled = sum(each["compiled"] for each in routes.values())
    assert document["counts"] == {"routes": 5, "compiled": compiled, "fallback": 5 - compiled}


def test_routes_that_decide_for_themselves_are_unknown(run: Run) -> None:
    _, out, _ = run("picky", "--format", "json")
    assert found(json.loads(out))["/picky"]["kind"] == "unknown"


def test_json_of_an_application_that_has_no_routes(run: Run) -> None:
    code, out, _ = run("raw", "--format", "json")
    assert code == 0
    assert json.loads(out)["fastapi"] is False
    assert json.loads(out)["routes"] == []
    assert run("raw", "--check")[0] == 1


def test_a_check_fails_for_what_is_not_allowed_to_be_a_fallback(run: Run) -> None:
    code, _, errors = run("app", "--check")
    assert code == 1
    assert errors.startswith("turboapi: POST,PUT /legacy is a fallback: route class Own handles")
    assert errors.count("\n") == 1
    assert run("app", "--check", "--allow", "/legacy")[0] == 0
    assert run("app", "--check", "--allow", "/other")[0] == 1
    assert run("plain", "--check", "--format", "json")[0] == 0


def test_a_check_fails_for_an_application_that_is_a_fallback_as_a_whole(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastapi.routing.serialize_response", lambda **_: None)
    code, out, _ = run("plain", "--check", "--allow", "/")
    assert code == 1
    assert "serialize_response was replaced" in out


def test_routes_of_a_started_application(run: Run) -> None:
    _, out, _ = run("app", "--format", "json", "--started")
    assert found(json.loads(out))["/late"]["compiled"]
    assert json.loads(out)["middleware"] == [{"name": "add_header", "outcome": "compiled"}]
    assert sys.modules["listed_routes"].events == ["up", "down"]


def test_an_application_that_does_not_start(run: Run) -> None:
    code, _, errors = run("broken", "--started")
    assert code == 1
    assert "no database" in errors
