"""The route table: order, methods, answers that need no lane, and what only the application can match."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Host, Match, Route, Router

from tests.plan.pair import Pair
from turboapi.plan import compile_app

Both = Callable[[Any], Pair]


def routes(app: FastAPI) -> list[dict[str, Any]]:
    return json.loads(compile_app(app).table)["routes"]


def named(name: str) -> Callable[..., Any]:
    async def endpoint():
        return name

    endpoint.__name__ = name
    return endpoint


def bare() -> FastAPI:
    return FastAPI(openapi_url=None)


def test_the_first_route_that_matches_wins(both: Both) -> None:
    app = bare()
    app.get("/items/{name}")(named("any"))
    app.get("/items/special")(named("special"))
    app.post("/items/special")(named("posted"))
    app.api_route("/items/{rest:path}", methods=["GET", "DELETE"])(named("rest"))
    pair = both(app)
    assert pair.get("/items/special").json() == "any"
    assert pair.post("/items/special").json() == "posted"
    assert pair.request("DELETE", "/items/special").json() == "rest"
    assert pair.get("/items/a/b").json() == "rest"
    assert pair.get("/items/").json() == "rest"
    assert pair.how == "compiled"


def test_wrong_methods_and_unknown_paths_are_answered_from_the_table(both: Both) -> None:
    app = bare()
    app.api_route("/two", methods=["PUT", "PATCH", "DELETE"])(named("two"))
    pair = both(app)
    assert pair.get("/two").status == 405
    assert pair.how == "static"
    assert pair.head("/two").status == 405
    assert pair.get("/nowhere").status == 404
    assert pair.how == "static"
    assert pair.options("/two").status == 405
    pair.get("/two/")  # redirected
    assert pair.how == "fallback"


def test_custom_handlers_answer_unknown_paths_themselves(both: Both) -> None:
    app = bare()
    app.get("/one")(named("one"))

    @app.exception_handler(404)
    async def missing(request: Request, exc: Exception):
        return PlainTextResponse(f"no {request.url.path}", 404)

    pair = both(app)
    assert pair.get("/nowhere").text == "no /nowhere"
    assert pair.how == "fallback"
    pair.post("/one")
    assert pair.how == "static"


def test_included_routers(both: Both) -> None:
    inner, outer, app = APIRouter(prefix="/inner"), APIRouter(prefix="/outer"), bare()
    inner.get("/{n}")(named("inner"))
    outer.get("/before/{n}")(named("before"))
    outer.include_router(inner, prefix="/deep")
    app.get("/v1/outer/before/first")(named("first"))
    app.include_router(outer, prefix="/v1")
    app.include_router(inner)
    pair = both(app)
    for target in ("/v1/outer/before/first", "/v1/outer/before/x", "/v1/outer/deep/inner/5", "/inner/5"):
        pair.get(target)
        assert pair.how == "compiled"
    assert pair.post("/v1/outer/deep/inner/5").status == 405
    assert pair.how == "static"


def test_mounts_and_plain_routes_stay_with_the_application(both: Both) -> None:
    app = bare()
    app.mount("/sub", PlainTextResponse("mounted"))
    app.add_route("/plain", lambda request: PlainTextResponse("plain"))
    app.get("/sub/{rest:path}")(named("never"))
    app.get("/own")(named("own"))
    pair = both(app)
    assert pair.get("/sub/x/y").text == "mounted"
    assert pair.how == "fallback"
    assert pair.get("/plain").text == "plain"
    pair.get("/own")
    assert pair.how == "compiled"
    assert pair.post("/plain").status == 405


class Everything(BaseRoute):
    def matches(self, scope: Any) -> Any:
        return (Match.FULL, {}) if scope["path"].endswith("!") else (Match.NONE, {})

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("everything")(scope, receive, send)


class Picky(APIRoute):
    def matches(self, scope: Any) -> Any:
        return (Match.NONE, {}) if b"x=1" in scope["query_string"] else super().matches(scope)


class Letters(Convertor[str]):
    regex = "[a-z]+"

    def convert(self, value: str) -> str:
        return value.upper()

    def to_string(self, value: str) -> str:
        return value


def test_what_cannot_be_told_from_the_path_stops_the_table(both: Both) -> None:
    register_url_convertor("barred", Letters())
    strange: list[Callable[[FastAPI], Any]] = [
        lambda app: app.router.routes.append(Everything()),
        lambda app: app.router.add_api_route("/picky", named("picky"), route_class_override=Picky),
        lambda app: app.router.routes.append(
            Host("{name:barred}.test", Router([Route("/own", PlainTextResponse("host"))]))
        ),
    ]
    for add in strange:
        app = bare()
        app.get("/before")(named("before"))
        add(app)
        app.get("/own")(named("own"))
        assert [route.get("barrier", False) for route in routes(app)] == [False, True, False]
        assert compile_app(app).report[2].outcome.startswith("fallback: it stands behind a route")
        pair = both(app)
        for target in ("/before", "/own", "/own!", "/picky", "/picky?x=1", "/letters/abc", "/inner"):
            pair.get(target)
        assert pair.get("/before").status == 200
        assert pair.how == "compiled"
        pair.get("/own", {"Host": "other.test"})


def test_convertors_of_the_applications_own_are_left_to_it(both: Both) -> None:
    register_url_convertor("letters", Letters())
    app = bare()
    app.get("/before/{x}")(named("before"))

    @app.get("/{x:letters}/of/{n:int}")
    async def letters(x: str, n: int):
        return [x, n]

    app.post("/abc/of/5")(named("posted"))
    app.get("/own/of")(named("own"))
    pair = both(app)
    assert pair.outcome("/{x:letters}/of/{n:int}") == "fallback: path with a convertor of the application's own"
    assert pair.get("/abc/of/5").json() == ["ABC", 5]
    assert pair.how == "fallback"
    assert pair.get("/own/of").json() == "own"
    assert pair.how == "compiled"
    for target in ("/123/of/5", "/abc/of/x", "/nowhere", "/before/1"):
        pair.get(target)
    assert pair.post("/abc/of/5").json() == "posted"


def test_a_changed_path_is_not_believed(both: Both) -> None:
    app = bare()
    app.get("/old")(named("old"))
    app.router.routes[0].path = "/new"
    assert routes(app) == [{"barrier": True}]
    pair = both(app)
    pair.get("/old")
    pair.get("/new")


def test_a_custom_default_of_the_router(both: Both) -> None:
    app = bare()
    app.get("/own")(named("own"))
    app.router.default = PlainTextResponse("default")
    pair = both(app)
    assert pair.get("/nowhere").text == "default"


def test_root_path(both: Both) -> None:
    app = bare()
    app.root_path = "/api"

    @app.get("/here/{n}")
    async def here(request: Request, n: int):
        return [request.scope["root_path"], str(request.url_for("here", n=n)), n]

    pair = both(app)
    assert pair.get("/here/5").status == 200
    assert pair.how == "compiled"
    assert pair.get("/api/here/5").status == 200


def cors_app(**options: Any) -> FastAPI:
    app = bare()
    app.add_middleware(CORSMiddleware, **options)

    @app.get("/plain")
    async def plain(response: Response, vary: str = ""):
        if vary:
            response.headers["vary"] = vary
        return {"a": 1}

    @app.get("/broken")
    async def broken():
        raise LookupError

    app.get("/stream")(lambda: Response("x", headers={"access-control-allow-origin": "mine"}))
    return app


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"allow_origins": ["*"]},
        {"allow_origins": ["*"], "allow_credentials": True, "expose_headers": ["X-A", "X-B"]},
        {"allow_origins": ["http://a.test"], "allow_methods": ["*"]},
        {"allow_origin_regex": r"http://.*\.test", "allow_credentials": True},
    ],
    ids=range(5),
)
def test_cors_headers_are_starlettes(both: Both, options: dict[str, Any]) -> None:
    pair = both(cors_app(**options))
    for path in ("/plain", "/plain?vary=Accept", "/broken", "/stream", "/nowhere"):
        for headers in ({}, {"Origin": "http://a.test"}, {"Origin": "http://b", "Cookie": "a=b"}, {"Origin": "null"}):
            pair.get(path, headers)
    preflight = {"Origin": "http://a.test", "Access-Control-Request-Method": "GET"}
    pair.options("/plain", preflight)
    assert pair.how == "fallback"
    pair.post("/plain")
    assert pair.how == "static"


def test_host_routes_stand_in_no_table_and_take_away_the_ready_answers() -> None:
    app = bare()
    app.host("api.test", bare())
    app.get("/own")(named("own"))
    made = compile_app(app)
    (route,) = routes(app)
    assert (route["path"], route["partial"]) == ("/own", None)
    assert json.loads(made.table)["not_found"] is None
    assert made.report[0].path == "//api.test"
    assert made.report[0].outcome.startswith("fallback: matched by the Host header")
    assert made.report[1].outcome == "compiled"


def test_what_stands_behind_a_mount_of_everything_is_never_reached(both: Both) -> None:
    app = bare()
    app.get("/before")(named("before"))
    app.mount("/", Router([Route("/inner", PlainTextResponse("inner"))]))
    app.get("/late")(named("late"))
    assert "never reached" in compile_app(app).report[-1].outcome
    pair = both(app)
    assert pair.get("/before").status == 200
    assert pair.how == "compiled"
    assert [pair.get(path).status for path in ("/inner", "/late", "/inner/")] == [200, 404, 307]
