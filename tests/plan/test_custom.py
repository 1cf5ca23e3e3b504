import inspect
from collections.abc import Callable
from typing import Annotated, Any

import fastapi
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute

from tests.faces.case import version
from tests.faces.trace import Trace, where
from tests.plan.pair import Pair
from turboapi.plan import compile_app

Both = Callable[[Any], Pair]


def app_with(wrap: Callable[..., Any], **settings: Any) -> FastAPI:
    """An application whose routes have the handler `wrap(FastAPI's own)`."""

    class Own(APIRoute):
        def get_route_handler(self) -> Any:
            return wrap(super().get_route_handler())

    app = FastAPI(openapi_url=None, **settings)
    app.router.route_class = Own
    return app


def noting(original: Callable[..., Any]) -> Callable[..., Any]:
    async def handler(request: Request) -> Response:
        response: Response = await original(request)
        response.headers["x-params"] = repr(request.path_params)
        return response

    return handler


async def read(n: int, q: int = 1):
    return [n, q]


def test_a_custom_handler_is_awaited_with_the_request(both: Both) -> None:
    app = app_with(noting)
    app.get("/items/{n:int}")(read)
    pair = both(app)
    reply = pair.get("/items/5?q=2")
    assert (reply.json(), reply.header("x-params"), pair.how) == ([5, 2], "{'n': 5}", "compiled")
    assert pair.get("/items/5?q=x").status == 422
    assert pair.how == "compiled"
    (plan,) = pair.made.plans
    assert (plan.stages[0].lane, plan.stages[0].coroutine) == ("loop", True)
    assert "await Handler(request)" in inspect.getsource(plan.stages[0].call)


def test_a_def_handler_runs_on_the_call_lane(both: Both, trace: Trace) -> None:
    def wrap(original: Any) -> Any:
        def handler(request: Request) -> Response:
            trace(where())
            return PlainTextResponse(request.url.path)

        return handler

    app = app_with(wrap)
    app.get("/items/{n}")(read)
    pair = both(app)
    assert pair.get("/items/x").body == b"/items/x"
    assert pair.made.plans[0].stages[0].lane == "call"
    assert trace.notes() == ["thread", "thread"]


def test_what_is_no_response_is_called_like_one(both: Both) -> None:
    def wrap(original: Any) -> Any:
        async def handler(request: Request) -> Any:
            if request.path_params["n"] == "none":
                return None

            async def answer(scope: Any, receive: Any, send: Any) -> None:
                await PlainTextResponse(scope["path"], 203)(scope, receive, send)

            return answer

        return handler

    app = app_with(wrap)
    app.get("/items/{n}")(read)
    pair = both(app)
    assert pair.get("/items/x").status == 203
    assert pair.get("/items/none").status == 500
    assert pair.how == "compiled"


@pytest.mark.skipif(version(fastapi.__version__) < (0, 118, 0), reason="the exit stacks of the scope came with 0.118")
@pytest.mark.parametrize(("target", "status"), [("/1", 200), ("/0", 500), ("/x", 422), ("/403", 403)])
def test_dependencies_with_yield_end_where_they_began(both: Both, trace: Trace, target: str, status: int) -> None:
    def session():
        trace("enter")
        try:
            yield 2
        except Exception as error:
            trace(type(error).__name__)
            raise
        finally:
            trace("exit")

    app = app_with(noting)

    @app.get("/{n}")
    async def divide(n: int, two: Annotated[int, Depends(session)]):
        if n == 403:
            raise HTTPException(403)
        return two // n

    pair = both(app)
    assert pair.get(target).status == status
    assert pair.how == "compiled"


def test_starlettes_routes_and_the_documentation_are_compiled(both: Both) -> None:
    async def place(request: Request) -> Response:
        return JSONResponse({"params": request.path_params, "route": "route" in request.scope})

    app = FastAPI()
    app.add_route("/place/{n:int}", place, methods=["GET"])
    pair = both(app)
    assert {report.outcome for report in compile_app(app).report} == {"compiled"}
    assert pair.get("/place/5").json()["params"] == {"n": 5}
    assert pair.how == "compiled"
    for path in ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"):
        assert pair.get(path).status == 200
        assert pair.how == "compiled"
        assert pair.head(path).status == 200


@pytest.mark.skipif("max_body_size" not in inspect.signature(FastAPI.get).parameters, reason="came later")
def test_a_body_limit_of_the_application_alone_makes_a_fallback() -> None:
    app = FastAPI(max_body_size=10)
    app.router.routes[:] = []
    app.add_route("/items/{n}", read)
    (report,) = compile_app(app).report
    assert report.outcome == "fallback: a body limit of the application that the route does not know"


@pytest.mark.skipif("form_limits" not in inspect.signature(APIRouter).parameters, reason="came later")
def test_limits_of_forms_are_in_the_scope() -> None:
    app = app_with(noting, form_limits={"max_fields": 1})
    app.post("/items/{n}")(read)
    compiled = compile_app(app)
    assert compiled.report[0].outcome == "compiled"
    assert '["form_limits"] = Limits.copy()' in inspect.getsource(compiled.plans[0].stages[0].call)
