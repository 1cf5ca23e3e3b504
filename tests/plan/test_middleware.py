"""Which middleware is compiled, which runs as it is, and what is found under it."""

import functools
from typing import Any, ClassVar

import pytest
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware

from turboapi.plan import CompiledApp, compile_app
from turboapi.plan.internals.http import dispatch_understood

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
    (plan,) = made.plans
    assert plan.inner is not None
    assert [stage.call.__name__ for stage in plan.inner.stages] == ["read"]
    assert not compile_app(app_with()).plans[0].inner


@pytest.mark.parametrize("middleware", [Pure, Slotted, closure, partial, OwnCall])
def test_foreign_middleware_is_found_through(middleware: Any) -> None:
    made = built(app_with(middleware))
    assert outcome(made) == "compiled"
    assert [cost for _, cost in costs(made)] == ["ASGI"]
    assert len(made.plans) == 1


def test_middleware_under_foreign_one_is_its_business() -> None:
    assert [cost for _, cost in costs(built(app_with(Named, Pure)))] == ["ASGI"]


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
