import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse

from tests.faces.trace import Trace
from tests.plan.pair import Pair
from turboapi.plan import compile_app

Both = Callable[[Any], Pair]


async def read(n: int, request: Request):
    return [n, request.scope["root_path"], request.scope["app_root_path"], request.app.title]


def sub_app(**more: Any) -> FastAPI:
    app = FastAPI(openapi_url=None, title="sub", **more)
    app.get("/items/{n}")(read)
    return app


def outer_app(sub: Any, **more: Any) -> FastAPI:
    app = FastAPI(openapi_url=None, title="outer", **more)
    app.mount("/sub", sub)
    return app


def reasons(app: FastAPI) -> dict[str, str]:
    return {report.path: report.outcome for report in compile_app(app).report}


def test_routes_of_a_mounted_application_run_from_plans(both: Both) -> None:
    pair = both(outer_app(sub_app()))
    assert reasons(pair.app) == {"/sub": "fallback: mounted application: compiled with its first request"}
    pair.get("/sub/items/1")
    assert reasons(pair.app) == {"/sub/items/{n}": "compiled"}
    reply = pair.get("/sub/items/5")
    assert (reply.json(), pair.how) == ([5, "/sub", "", "sub"], "compiled")


def test_the_mount_takes_what_its_routes_leave(both: Both) -> None:
    pair = both(outer_app(sub_app()))
    pair.get("/sub/items/1")
    pair.get("/sub/items/1")
    table = json.loads(compile_app(pair.app).table)
    assert [(route["path"], route.get("mount", False)) for route in table["routes"]] == [
        ("/sub/items/{n}", False),
        ("/sub", True),
    ]
    assert pair.post("/sub/items/5").status == 405
    assert pair.get("/sub/none").status == 404
    assert pair.get("/sub/items/5/").status == 307


def test_an_entry_that_declines_leaves_the_scope_as_it_was(both: Both) -> None:
    sub = sub_app()

    @sub.post("/list")
    async def create(items: list[int]):
        return items

    pair = both(outer_app(sub))
    pair.get("/sub/items/1")
    assert pair.post("/sub/list", json=[1]).json() == [1]
    assert pair.how == "compiled"
    assert pair.post("/sub/list", json=["x"]).status == 422
    assert pair.how == "declined"


def test_applications_in_applications(both: Both) -> None:
    middle = sub_app()
    middle.mount("/deep", sub_app())
    pair = both(outer_app(middle))
    pair.get("/sub/deep/items/1")
    assert pair.get("/sub/deep/items/2").json() == [2, "/sub/deep", "", "sub"]
    assert pair.how == "compiled"
    assert pair.get("/sub/items/2").json() == [2, "/sub", "", "sub"]
    assert pair.how == "compiled"


def test_each_application_handles_its_own_exceptions(both: Both, trace: Trace) -> None:
    def handler(name: str, status: int) -> Any:
        async def handle(request: Request, error: Exception):
            trace(name, request.app.title)
            return JSONResponse(name, status)

        return handle

    async def fail():
        raise LookupError

    sub = sub_app(exception_handlers={LookupError: handler("sub", 418)})
    sub.get("/fails")(fail)
    app = outer_app(sub, exception_handlers={LookupError: handler("outer", 419)})
    app.get("/fails")(fail)
    pair = both(app)
    pair.get("/sub/items/1")
    assert pair.get("/sub/fails").status == 418
    assert pair.how == "compiled"
    assert pair.get("/fails").status == 419
    assert pair.how == "compiled"


def test_changes_of_a_mounted_application_are_noticed(both: Both) -> None:
    sub = sub_app()
    pair = both(outer_app(sub))
    pair.get("/sub/items/1")
    assert pair.get("/sub/late").status == 404
    sub.get("/late")(lambda: "late")
    assert pair.get("/sub/late").json() == "late"
    assert pair.how == "compiled"
    other = FastAPI(openapi_url=None)
    other.get("/other")(lambda: "other")
    pair.app.routes[-1].app = other
    pair.get("/sub/other")
    assert pair.get("/sub/other").json() == "other"
    assert pair.get("/sub/late").status == 404


def in_a_router() -> FastAPI:
    router = APIRouter()
    router.mount("/sub", sub_app())
    app = FastAPI(openapi_url=None)
    app.include_router(router)
    return app


def with_middleware(app: FastAPI, middleware: Any) -> FastAPI:
    app.add_middleware(middleware)
    return app


def rooted(app: FastAPI) -> FastAPI:
    app.root_path = "/x"
    return app


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: outer_app(rooted(sub_app())), "root_path"),
        (lambda: rooted(outer_app(sub_app())), "root_path"),
        (lambda: outer_app(with_middleware(sub_app(), CORSMiddleware)), "middleware"),
        (lambda: outer_app(with_middleware(sub_app(), GZipMiddleware)), "middleware"),
        (lambda: outer_app(sub_app(), exception_handlers={Exception: read}), "the outer application handles every"),
    ],
)
def test_what_is_not_understood_stays_a_mount(make: Callable[[], FastAPI], reason: str) -> None:
    ((path, outcome),) = reasons(make()).items()
    assert path == "/sub"
    assert outcome.startswith("fallback: mounted application: ")
    assert reason in outcome


def test_other_mounts_stay_mounts() -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None: ...

    assert reasons(outer_app(asgi)) == {"/sub": "fallback: mounted application"}
    assert all(outcome != "compiled" for path, outcome in reasons(in_a_router()).items() if path == "/sub")
