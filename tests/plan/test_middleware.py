"""Which middleware is compiled, which runs as it is, and what is found under it."""

import functools
import json
from typing import Any, ClassVar

import pytest
import starlette.middleware.gzip
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from turboapi.plan import CompiledApp, compile_app
from turboapi.plan.internals.http import dispatch_understood

KNOWN: list[Any] = [
    (TrustedHostMiddleware, {"allowed_hosts": ["a.test"]}),
    (SessionMiddleware, {"secret_key": "secret"}),
    (HTTPSRedirectMiddleware, {}),
    (CORSMiddleware, {"allow_origins": ["*"]}),
    (GZipMiddleware, {}),
]
HTTP = "compiled" if dispatch_understood() else "ASGI"


class Pure:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Slotted:
    __slots__ = ("inner",)

    def __init__(self, app: Any) -> None:
        self.inner = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.inner(scope, receive, send)


class Named(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


class OwnCall(Named):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, receive, send)


def closure(app: Any) -> Any:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return inner


def partial(app: Any) -> Any:
    async def inner(app: Any, scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return functools.partial(inner, app)


def app_with(*middleware: Any, cls: type[FastAPI] = FastAPI) -> FastAPI:
    app = cls(openapi_url=None)
    for each in middleware:
        app.add_middleware(each)

    @app.get("/")
    async def read() -> int:
        return 1

    return app


def built(app: FastAPI) -> CompiledApp:
    app.middleware_stack = app.build_middleware_stack()
    return compile_app(app)


def costs(made: CompiledApp) -> list[tuple[str, str]]:
    return [(each.name.rpartition(".")[2], each.outcome) for each in made.middleware]


def outcome(made: CompiledApp) -> str:
    (route,) = made.report
    return route.outcome


def test_http_middleware_is_compiled_around_the_route() -> None:
    app = app_with(Named)

    @app.middleware("http")
    async def note(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    made = built(app)
    assert outcome(made) == "compiled"
    assert costs(made) == [("note", HTTP), ("Named", HTTP)][: 2 if HTTP == "compiled" else 1]
    plan, *leftovers = made.plans
    assert plan.inner is not None
    assert len(leftovers) == (2 if HTTP == "compiled" else 0)
    assert [stage.call.__name__ for stage in plan.inner.stages] == ["read"]
    assert not compile_app(app_with()).plans[0].inner


@pytest.mark.parametrize("middleware", [Pure, Slotted, closure, partial, OwnCall])
def test_foreign_middleware_is_found_through(middleware: Any) -> None:
    made = built(app_with(middleware))
    assert outcome(made) == "compiled"
    assert [cost for _, cost in costs(made)] == ["ASGI"]
    assert len(made.plans) == 1


def left(app: FastAPI) -> tuple[Any, Any]:
    """The numbers of the plans for what no route takes: of all of it, and of unknown paths."""
    table = json.loads(built(app).table)
    return table["rest"], table["missing"]


def test_what_no_route_takes_has_plans_of_its_own_under_compiled_middleware() -> None:
    assert left(app_with()) == (None, None)
    assert left(app_with(Pure)) == (None, None)
    assert left(app_with(GZipMiddleware)) == (1, 2)
    assert left(app_with(GZipMiddleware, Pure)) in ((1, 2), (None, None))
    hosted = app_with(GZipMiddleware)
    hosted.host("a.test", app_with())
    assert left(hosted) == (1, None)


def test_middleware_under_foreign_one_is_its_business() -> None:
    assert [cost for _, cost in costs(built(app_with(Named, Pure)))] == ["ASGI"]


def test_middleware_of_starlette_is_compiled_in_any_order() -> None:
    app = app_with()
    for cls, options in KNOWN:
        app.add_middleware(cls, **options)
        app.add_middleware(Named)
    app.add_middleware(GZipMiddleware)
    before = compile_app(app)
    made = built(app)
    assert outcome(made) == "compiled"
    names = [cls.__name__ for cls, _ in KNOWN]
    if HTTP == "compiled":
        assert [name for name, _ in costs(made)] == [
            "GZipMiddleware",
            *(x for name in names[::-1] for x in ("Named", name)),
        ]
        assert {cost for _, cost in costs(made)} == {"compiled"}
        assert costs(before) == costs(made)
    assert costs(built(app_with(CORSMiddleware))) == [("CORSMiddleware", "compiled")]


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known[0].__name__)
def test_only_exact_classes_are_known(known: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cls, options = known

    def costs_of(cls: Any) -> list[str]:
        app = app_with()
        app.add_middleware(cls, **options)
        app.add_middleware(GZipMiddleware)
        return [cost for _, cost in costs(built(app))]

    assert costs_of(cls) == ["compiled", "compiled"]
    assert costs_of(type(cls.__name__, (cls,), {"__module__": cls.__module__})) == ["compiled", "ASGI"]
    original = cls.__call__

    async def patched(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await original(self, scope, receive, send)

    monkeypatch.setattr(cls, "__call__", patched)
    assert costs_of(cls)[-1] == "ASGI"
    monkeypatch.setattr(cls, "__call__", functools.wraps(original)(patched))
    assert costs_of(cls)[-1] == "ASGI"


def test_a_middleware_that_was_given_methods_of_its_own_is_not_known() -> None:
    app = app_with(CORSMiddleware, GZipMiddleware)
    app.middleware_stack = app.build_middleware_stack()
    at: Any = app.middleware_stack
    while type(at) is not CORSMiddleware:
        at = at.app
    assert [cost for _, cost in costs(compile_app(app))] == ["compiled", "compiled"]
    at.send = at.send
    assert [cost for _, cost in costs(compile_app(app))] == ["compiled", "ASGI"]


def test_responders_of_another_kind_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    class Responder(starlette.middleware.gzip.GZipResponder):
        pass

    monkeypatch.setattr(starlette.middleware.gzip, "GZipResponder", Responder)
    assert [cost for _, cost in costs(built(app_with(GZipMiddleware, Named)))][-1] == "ASGI"


def test_a_change_of_settings_is_watched() -> None:
    app = app_with(GZipMiddleware)
    origins = ["https://page.test"]
    app.add_middleware(CORSMiddleware, allow_origins=origins)
    made = built(app)
    assert any(each is origins for each in made.watch.lists)
    settings = [each for each in made.watch.dicts if "minimum_size" in each or "allow_origins" in each]
    assert len(settings) == 2


def test_middleware_that_hides_the_application_is_a_fallback() -> None:
    made = built(app_with(Opaque))
    assert outcome(made).startswith("fallback: ")
    assert not made.plans


class Opaque:
    """Knows the application by a number only."""

    __slots__ = ("number",)
    known: ClassVar[dict[int, Any]] = {}

    def __init__(self, app: Any) -> None:
        self.number = id(app)
        self.known[self.number] = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.known[self.number](scope, receive, send)


def test_before_the_application_has_made_them_only_the_report_is_there() -> None:
    app = app_with(Named, CORSMiddleware)
    made = compile_app(app)
    assert outcome(made) == "compiled"
    assert [name for name, _ in costs(made)] == ["CORSMiddleware", "Named"]
    assert not made.plans
    assert app.middleware_stack is None
    assert built(app).plans


def test_a_replaced_builder_is_read_when_it_has_built() -> None:
    class Rebuilt(FastAPI):
        def build_middleware_stack(self) -> Any:
            return Pure(super().build_middleware_stack())

    app = app_with(cls=Rebuilt)
    assert outcome(compile_app(app)).startswith("fallback: build_middleware_stack was replaced")
    made = built(app)
    assert outcome(made) == "compiled"
    assert costs(made) == [("Pure", "ASGI")]


def test_an_overridden_call_is_foreign_middleware_around_all() -> None:
    class Wrapped(FastAPI):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)

    made = built(app_with(Named, cls=Wrapped))
    assert outcome(made) == "compiled"
    assert [cost for _, cost in costs(made)] == ["ASGI"]


def test_a_body_limit_with_middleware_is_a_fallback() -> None:
    app = FastAPI(max_body_size=10)
    if not hasattr(app, "max_body_size"):
        pytest.skip("this FastAPI has no max_body_size")
    app.add_middleware(Pure)
    app.middleware_stack = app.build_middleware_stack()
    assert "body limit" in (compile_app(app).notice or "")


def test_the_gate_changes_no_type_that_others_ask_for() -> None:
    app = app_with(Pure)
    built(app)
    at: Any = app.middleware_stack
    while not isinstance(at, ExceptionMiddleware):
        at = at.app
    assert type(at).__name__ == "ExceptionMiddleware"
    assert type(at).__module__ == ExceptionMiddleware.__module__
    assert outcome(compile_app(app)) == "compiled"
