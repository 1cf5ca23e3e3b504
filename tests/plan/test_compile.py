"""Whole applications: what keeps them from being compiled, what makes them be compiled again."""

import gc
import json
import sys
import weakref
from collections.abc import Callable
from typing import Any

import fastapi
import fastapi.routing
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.background import BackgroundTask

import turboapi.plan
from tests.plan.pair import Pair
from turboapi.plan import compile_app
from turboapi.plan.background import _own
from turboapi.plan.internals import releases

Both = Callable[[Any], Pair]


async def read(q: int = 1):
    return q


def app_with(**more: Any) -> FastAPI:
    app = FastAPI(openapi_url=None, **more)
    app.get("/")(read)
    return app


class OwnRouter(APIRouter):
    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        await super().app(scope, receive, send)


def with_own_router() -> FastAPI:
    app = app_with()
    app.router.__class__ = OwnRouter
    return app


def subclass(cls: type[FastAPI]) -> FastAPI:
    app = cls(openapi_url=None)
    app.get("/")(read)
    return app


def test_an_application_with_its_own_router_is_a_fallback(both: Both) -> None:
    pair = both(with_own_router())
    reason = "router class OwnRouter overrides app"
    assert pair.outcome("/") == f"fallback: {reason}"
    assert pair.made.notice == f"All routes run as fallback: {reason}."
    assert not pair.made.plans
    assert pair.get("/?q=5").json() == 5


class App(FastAPI):
    """Nothing of FastAPI's own is overridden."""

    def run(self) -> None: ...


def test_a_subclass_that_only_adds_is_compiled() -> None:
    (report,) = compile_app(subclass(App)).report
    assert report.outcome == "compiled"


@pytest.mark.parametrize("name", ["serialize_response", "run_endpoint_function", "solve_dependencies"])
def test_functions_that_another_package_has_replaced(both: Both, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = getattr(fastapi.routing, name)

    async def instrumented(**arguments: Any) -> Any:
        return await original(**arguments)

    monkeypatch.setattr(fastapi.routing, name, instrumented)
    assert compile_app(app_with()).report[0].outcome == f"fallback: fastapi.routing.{name} was replaced"


def test_an_unknown_release_is_a_fallback_with_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    releases.unsupported.cache_clear()
    monkeypatch.setattr(fastapi, "__version__", "0.999.0")
    try:
        made = compile_app(app_with())
    finally:
        releases.unsupported.cache_clear()
    assert made.notice is not None
    assert "FastAPI 0.999.0 is not among the releases" in made.notice
    assert made.report[0].outcome.startswith("fallback: FastAPI 0.999.0")
    assert json.loads(made.table)["routes"] == []


def test_a_release_without_what_we_import_is_a_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "turboapi.plan.compile")
    monkeypatch.delattr(turboapi.plan, "compile")
    monkeypatch.setitem(sys.modules, "turboapi.plan.internals", None)
    made = compile_app(app_with())
    assert made.notice is not None
    assert "not understood" in made.notice


class Counting(APIRoute):
    def get_route_handler(self) -> Any:
        inner = super().get_route_handler()

        async def outer(request: Request) -> Response:
            response = await inner(request)
            response.headers["x-counting"] = "1"
            return response

        return outer


def test_a_wrapped_route_is_a_fallback_and_one_with_a_handler_of_its_own_is_not(both: Both) -> None:
    app = app_with()
    router = APIRouter(route_class=Counting)
    router.get("/counting")(read)
    app.include_router(router)
    app.get("/wrapped")(read)
    route = next(route for route in app.router.routes if getattr(route, "path", "") == "/wrapped")
    inner = route.app

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    route.app = outer
    pair = both(app)
    assert pair.outcome("/counting") == "compiled"
    assert pair.outcome("/wrapped") == "fallback: its ASGI application was replaced or wrapped"
    assert pair.get("/counting").header("x-counting") == "1"
    pair.get("/wrapped")
    assert pair.outcome("/") == "compiled"


def test_changes_are_noticed(both: Both) -> None:
    app = app_with()
    later = APIRouter()
    pair = both(app)
    assert pair.get("/added").status == 404
    app.get("/added")(read)
    assert pair.get("/added?q=2").json() == 2
    assert pair.how == "compiled"
    app.include_router(later, prefix="/later")
    pair.get("/later/x")
    later.get("/x")(read)
    app.get("/again")(read)
    pair.get("/later/x")
    assert pair.get("/again").json() == 1
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", "") != "/added"]
    assert pair.get("/added").status == 404
    app.router.redirect_slashes = False
    assert pair.get("/again/").status == 404


def test_only_what_changed_is_compiled_again() -> None:
    app = FastAPI(openapi_url=None)
    app.get("/")(read)
    app.middleware_stack = app.build_middleware_stack()
    app.get("/other")(lambda a=Depends(read): a)
    first = compile_app(app)
    app.get("/third")(read)
    second = compile_app(app)
    assert [one is two for one, two in zip(first.plans, second.plans, strict=False)] == [True, True]
    assert len(second.plans) == 3
    route = app.router.routes[1]
    route.dependant.dependencies.clear()
    third = compile_app(app)
    assert [one is two for one, two in zip(second.plans, third.plans, strict=True)] == [True, False, True]


def test_a_compiled_application_can_be_forgotten() -> None:
    app = app_with()
    made: Any = compile_app(app)
    gone = weakref.ref(app)
    del app, made
    gc.collect()
    assert gone() is None


class Overrider(dict[Any, Any]):
    """What packages put in the place of the dict: overrides by rule."""

    def __bool__(self) -> bool:
        return True

    def get(self, call: Any, default: Any) -> Any:
        return (lambda: "overridden") if call is read else default


def test_overrides_that_are_no_dict(both: Both) -> None:
    app = app_with()
    app.get("/other")(lambda a=Depends(read): a)
    app.dependency_overrides = Overrider()
    pair = both(app)
    assert pair.outcome("/other") == "fallback: dependency_overrides is not a dict"
    assert pair.outcome("/") == "compiled"
    assert pair.get("/other").json() == "overridden"


class Unreadable(FastAPI):
    @property
    def __dict__(self) -> dict[str, Any]:
        raise TypeError("nobody looks into this")


def test_what_is_not_understood_at_all_is_a_fallback() -> None:
    app = app_with()
    app.__class__ = Unreadable
    made = compile_app(app)
    assert made.notice is not None
    assert "not understood (TypeError" in made.notice


def test_versions_grow() -> None:
    app = app_with()
    first = compile_app(app)
    app.get("/other")(read)
    second = compile_app(app)
    assert first.version == json.loads(first.table)["version"] < json.loads(second.table)["version"] == second.version


@pytest.mark.skipif(not hasattr(FastAPI(), "_telemetry"), reason="came later")
def test_telemetry_is_fastapis(both: Both) -> None:
    class Provider:
        pass

    app = app_with()
    pair = both(app)
    assert pair.outcome("/") == "compiled"
    app._telemetry["tracer_provider"] = Provider()
    assert compile_app(app).notice == "All routes run as fallback: telemetry is on."
    assert app._telemetry in pair.made.watch.dicts


def test_websocket_routes_are_listed_in_their_place() -> None:
    app = app_with()
    router = APIRouter(prefix="/inner")

    @router.websocket("/ws/{name}")
    async def talk(websocket: fastapi.WebSocket, name: str) -> None:
        await websocket.accept()

    app.include_router(router)
    app.get("/last")(read)
    made = compile_app(app)
    assert [(route.path, route.methods, route.outcome) for route in made.report] == [
        ("/", ("GET",), "compiled"),
        ("/inner/ws/{name}", ("WEBSOCKET",), "compiled"),
        ("/last", ("GET",), "compiled"),
    ]
    table = json.loads(made.table)
    assert [(route["path"], route["plan"]) for route in table["routes"]] == [("/", 0), ("/last", 2)]
    assert table["sockets"] == [{"path": "/inner/ws/{name}", "plan": 1}]


@pytest.mark.parametrize(
    "name",
    [
        "starlette.applications.Starlette.__call__",
        "starlette.routing.Route.matches",
        "starlette.routing.Route.handle",
        "starlette.routing.Mount.handle",
        "starlette.middleware.errors.ServerErrorMiddleware.__call__",
        "starlette.middleware.exceptions.ExceptionMiddleware.__call__",
        "fastapi.middleware.asyncexitstack.AsyncExitStackMiddleware.__call__",
        "fastapi.routing.APIRouter.app",
        "fastapi.routing.APIRoute.handle",
    ],
)
def test_a_method_that_another_package_has_replaced_makes_all_a_fallback(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_with()
    before = compile_app(app)
    path, _, method = name.rpartition(".")
    module, _, cls = path.rpartition(".")
    given = getattr(getattr(pytest.importorskip(module), cls), method)

    def replaced(self: Any, *args: Any) -> Any:
        return given(self, *args)

    monkeypatch.setattr(name, replaced)
    made = compile_app(app)
    assert made.notice is not None
    assert f".{method} was replaced" in made.notice
    monkeypatch.undo()
    assert compile_app(app) is before


def test_background_tasks_that_somebody_has_replaced_are_not_taken_for_starlettes() -> None:
    async def traced(self: BackgroundTask) -> None: ...

    assert _own(BackgroundTask.__call__, traced) == (BackgroundTask.__call__,)
