"""What is compiled once for an application, however many servers have it, and what is compiled again."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse

from turboapi.plan import compile_app
from turboapi.plan.memory import Kept, kept_of


def one() -> int:
    return 1


def two() -> int:
    return 2


def below(n: int = Depends(one)) -> int:
    return n


async def handled(request: Request, exc: Exception) -> PlainTextResponse:
    return PlainTextResponse("handled", 500)


def app_with(*, started: bool = True) -> FastAPI:
    app = FastAPI()
    app.get("/one")(one)
    app.get("/below")(lambda n=Depends(below): n)
    app.get("/items/{item_id}")(lambda item_id: item_id)
    sub = FastAPI()
    sub.get("/two")(two)
    app.mount("/sub", sub)
    if started:
        app.middleware_stack = app.build_middleware_stack()
        sub.middleware_stack = sub.build_middleware_stack()
    return app


@pytest.mark.parametrize("started", [True, False])
def test_an_unchanged_application_is_made_once(started: bool) -> None:
    app = app_with(started=started)
    assert compile_app(app) is compile_app(app)


def route_of(app: FastAPI, path: str) -> APIRoute:
    return next(each for each in app.router.routes if isinstance(each, APIRoute) and each.path == path)


def add(app: FastAPI) -> None:
    app.get("/more")(one)


def remove(app: FastAPI) -> None:
    app.router.routes.pop(0)


def turn_round(app: FastAPI) -> None:
    app.router.routes.reverse()


def replace_application(app: FastAPI) -> None:
    route_of(app, "/one").app = route_of(app, "/below").app


def replace_call(app: FastAPI) -> None:
    route_of(app, "/below").dependant.dependencies[0].call = two


def remove_dependency(app: FastAPI) -> None:
    route_of(app, "/below").dependant.dependencies.clear()


def add_dependency(app: FastAPI) -> None:
    depends = route_of(app, "/below").dependant.dependencies
    depends.append(copy.copy(depends[0]))


def rewrite_methods(app: FastAPI) -> None:
    methods = route_of(app, "/one").methods
    assert methods is not None
    methods.add("PUT")


def handle_status(app: FastAPI) -> None:
    app.exception_handlers[404] = handled
    app.middleware_stack = app.build_middleware_stack()


def handle_everything(app: FastAPI) -> None:
    app.exception_handlers[Exception] = handled
    app.middleware_stack = None


def debug(app: FastAPI) -> None:
    app.debug = True
    app.middleware_stack = None


def slashes(app: FastAPI) -> None:
    app.router.redirect_slashes = False


def root(app: FastAPI) -> None:
    app.root_path = "/root"


def add_below(app: FastAPI) -> None:
    sub: Any = app.router.routes[-1]
    sub.app.get("/more")(one)


def mount_elsewhere(app: FastAPI) -> None:
    app.mount("/other", app.router.routes[-1].app)  # type: ignore[attr-defined]


def not_found(app: FastAPI) -> None:
    async def default(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("none", 404)(scope, receive, send)

    app.router.default = default


def override(app: FastAPI) -> None:
    app.dependency_overrides[one] = two


@pytest.mark.parametrize(
    "change",
    [
        add, remove, turn_round, replace_application, replace_call, remove_dependency, add_dependency, rewrite_methods,
        handle_status, handle_everything, debug, slashes, root, add_below, mount_elsewhere, not_found, override,
    ],
)  # fmt: skip
@pytest.mark.parametrize("started", [True, False])
def test_every_change_is_seen(change: Callable[[FastAPI], None], started: bool) -> None:
    app = app_with(started=started)
    first = compile_app(app)
    change(app)
    second = compile_app(app)
    assert second is not first
    assert second.version > first.version
    assert compile_app(app) is second


def test_overrides_make_only_those_again_that_they_change() -> None:
    app = app_with()
    plans = compile_app(app).plans
    app.dependency_overrides[one] = two
    changed = compile_app(app)
    assert [before is after for before, after in zip(plans, changed.plans, strict=True)].count(False) == 1
    assert compile_app(app) is changed
    app.dependency_overrides[two] = one
    assert compile_app(app).plans != changed.plans
    app.dependency_overrides.clear()
    assert compile_app(app).plans[0] is plans[0]


class Later(BaseModel):
    model_config = {"defer_build": True}
    item: int


@pytest.mark.filterwarnings("ignore:The 'alias' attribute")
def test_a_model_that_pydantic_has_yet_to_build_is_looked_at_again() -> None:
    app = app_with()

    @app.post("/later")
    def later(given: Later) -> Any:
        return given.item

    assert compile_app(app) is not compile_app(app)
    route_of(app, "/later").dependant.body_params[0]._type_adapter.rebuild()  # type: ignore[attr-defined]
    assert compile_app(app) is compile_app(app)


def test_applications_are_forgotten_with_what_was_made_of_them() -> None:
    outer, inner = app_with(), FastAPI()
    inner.get("/")(one)
    outer.mount("/inner", inner)
    made: Any = compile_app(outer)
    gone = weakref.ref(outer), weakref.ref(made.errors)
    del outer, made
    gc.collect()
    assert [each() for each in gone] == [None, None]
    # What was made of it as a part of another one was that one's.
    assert kept_of(inner).parts == {}


def test_what_is_mounted_no_more_is_forgotten() -> None:
    app = app_with()
    inner: Any = FastAPI()
    inner.middleware_stack = inner.build_middleware_stack()
    app.mount("/inner", inner)
    compile_app(app)
    app.router.routes.pop()
    compile_app(app)
    gone = weakref.ref(inner)
    del inner
    gc.collect()
    assert gone() is None


def test_a_copied_application_starts_anew() -> None:
    app = app_with()
    made = compile_app(app)
    twin = copy.copy(app)
    assert compile_app(twin) is not made
    assert kept_of(twin).app is twin
    assert compile_app(app) is made
    kept = kept_of(app)
    for other in (copy.copy(kept), copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))):
        assert type(other) is Kept
        assert (other.app, other.parts) == (None, {})


def test_a_router_that_is_included_later(monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_with()
    router = APIRouter()
    router.get("/late")(one)
    first = compile_app(app)
    app.include_router(router)
    second = compile_app(app)
    assert len(second.plans) == len(first.plans) + 1
    monkeypatch.setattr(JSONResponse, "render", lambda self, content: b"0")
    assert compile_app(app) is not second


def test_a_handler_of_the_same_class_in_another_place() -> None:
    app = app_with(started=False)
    first = compile_app(app)
    app.add_exception_handler(HTTPException, handled)
    assert compile_app(app) is not first
