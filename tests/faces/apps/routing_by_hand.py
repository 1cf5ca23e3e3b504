"""Documentation, root paths and routes made by hand: one per application."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import Route

from ..case import case
from ..request import delete, get, post
from ..trace import Trace


@case([(200, get("/docs")), (200, get("/openapi.json")), (404, get("/redoc")), (200, get("/a"))], wild=False)
def documentation_with_a_schema_of_its_own(trace: Trace) -> FastAPI:
    app = FastAPI(redoc_url=None)
    app.get("/a", include_in_schema=False)(lambda: "a")
    app.openapi = lambda: {"openapi": "3.1.0", "info": {"title": "own", "version": "1"}, "paths": {}}
    return app


@case([(404, get("/docs")), (404, get("/openapi.json")), (200, get("/own/docs")), (200, get("/api.json"))], wild=False)
def documentation_by_hand(trace: Trace) -> FastAPI:
    from fastapi.openapi.docs import get_swagger_ui_html

    app = FastAPI(openapi_url=None)

    @app.get("/own/docs", include_in_schema=False)
    async def docs(request: Request):
        return get_swagger_ui_html(openapi_url="/api.json", title="own")

    @app.get("/api.json", include_in_schema=False)
    def schema(request: Request):
        return app.openapi()

    return app


@case([(200, get("/api/x")), (200, get("/x")), (307, get("/x/")), (200, get("/openapi.json")), (200, get("/api/docs"))],
      wild=False)  # fmt: skip
def root_path_of_the_application(trace: Trace) -> FastAPI:
    app = FastAPI(root_path="/api", servers=[{"url": "https://b.test"}])

    @app.get("/x")
    async def x(request: Request):
        return [request.scope["root_path"], request.scope["path"], str(request.url_for("x"))]

    return app


class EvenConvertor(Convertor[int]):
    regex = "[0-9]*[02468]"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


@case([(200, get("/n/4")), (200, get("/n/5")), (404, get("/n/x")), (405, post("/n/4"))], wild=False,
      fallback=["GET /n/{n:even}"])  # fmt: skip
def convertor_of_its_own(trace: Trace) -> FastAPI:
    register_url_convertor("even", EvenConvertor())
    app = FastAPI()

    @app.get("/n/{n:even}")
    async def even(n: int, request: Request):
        return ["even", n, request.path_params["n"]]

    @app.get("/n/{n:int}")
    async def odd(n: int):
        return ["odd", n]

    return app


@case([(200, get("/old")), (307, get("/redirect")), (303, post("/redirect")), (200, get("/new"))], wild=False)
def redirects_by_hand(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.get("/old")(lambda: "old")
    app.get("/new", name="new")(lambda: "new")

    @app.get("/redirect")
    async def redirect(request: Request):
        return RedirectResponse(request.url_for("new"))

    @app.post("/redirect", response_class=RedirectResponse, status_code=303)
    def redirect_post():
        return "/new?a=b c"

    return app


@case([(200, get("/1")), (200, get("/2")), (200, get("/3")), (404, get("/4"))], wild=False)
def many_routes_in_a_loop(trace: Trace) -> FastAPI:
    app = FastAPI()
    for n in (1, 2, 3):

        @app.get(f"/{n}", name=f"n{n}")
        async def read(given: Annotated[int, Depends(lambda n=n: n)]):
            return given

    return app


@case([(200, get("/dep/1")), (422, get("/dep/x")), (200, get("/app")), (404, get("/none"))], wild=False)
def dependencies_in_order_of_place(trace: Trace) -> FastAPI:
    def note(name: str) -> Any:
        return Depends(lambda: trace(name))

    app = FastAPI(dependencies=[note("app")])
    outer = APIRouter(dependencies=[note("outer")])
    inner = APIRouter(dependencies=[note("inner")])

    @inner.get("/{n}", dependencies=[note("route")])
    async def read(n: int, own: Annotated[None, note("parameter")]):
        return n

    outer.include_router(inner, prefix="/dep", dependencies=[note("inclusion")])
    app.include_router(outer, dependencies=[note("inclusion in app")])
    app.get("/app")(lambda: "app")
    return app


@case([(200, get("/a")), (200, get("/b")), (200, delete("/c")), (200, get("/d"))], wild=False)
def routes_made_by_hand(trace: Trace) -> FastAPI:
    async def endpoint(request: Request) -> Response:
        return JSONResponse([request.url.path, sorted(request.path_params)])

    app = FastAPI(routes=[Route("/a", endpoint), APIRoute("/b", lambda: "b", methods=["GET"])])
    app.router.routes.append(APIRoute("/c", lambda: "c", methods=["DELETE"]))
    app.router.add_route("/d", endpoint, methods=["GET"], name="d", include_in_schema=False)
    return app


@case([(200, get("/a")), (200, get("/b")), (404, get("/none"))], wild=False, fallback=["*"])
def default_of_its_own(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.get("/a")(lambda: "a")
    app.get("/b")(lambda: "b")

    async def default(scope: Any, receive: Any, send: Any) -> None:
        trace("default", scope["path"])
        await PlainTextResponse("nothing here", 404)(scope, receive, send)

    app.router.default = default
    return app
