"""Every parameter of FastAPI(), of mounts, WebSockets and frontends."""

import shutil
import tempfile
import weakref
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import PlainTextResponse
from starlette.middleware import Middleware
from starlette.routing import Route

from ..case import case
from ..request import get, post
from ..trace import Trace
from .options import Item, Marked, callback_router, known


@case(
    [
        (200, get("/api/docs-here")),
        (200, get("/docs-here")),
        (200, get("/redoc-here")),
        (200, get("/oauth-here")),
        (200, get("/openapi-here")),
        (200, get("/starlette")),
        (418, get("/raises")),
        (404, get("/read/")),
        (200, get("/read", {"Origin": "https://a.test"})),
        (200, post("/item", {"Content-Type": ""}, body=b"{}")),
    ],
    wild=False,
    mask=[rb"\A\d+\Z"],
)
def options_of_the_application(trace: Trace) -> FastAPI:
    async def starlette(request: Request) -> Response:
        return PlainTextResponse("starlette")

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        trace("up")
        yield
        trace("down")

    async def teapot(request: Request, error: Exception) -> Response:
        return PlainTextResponse(str(error), 418)

    webhooks = APIRouter()

    @webhooks.post("new-item")
    def new_item(item: Item):
        """Sent for each new item."""

    options = {
        "telemetry": {"tracing": False, "metrics": False, "logs": False},
        "debug": False,
        "routes": [Route("/starlette", starlette)],
        "title": "Title",
        "summary": "Summary",
        "description": "Description",
        "version": "9.9",
        "openapi_url": "/openapi-here",
        "openapi_tags": [{"name": "t", "description": "tag"}],
        "servers": [{"url": "https://a.test", "description": "d"}],
        "dependencies": [Depends(lambda: trace("application's dependency"))],
        "default_response_class": Marked,
        "redirect_slashes": False,
        "docs_url": "/docs-here",
        "redoc_url": "/redoc-here",
        "swagger_ui_oauth2_redirect_url": "/oauth-here",
        "swagger_ui_init_oauth": {"clientId": "c"},
        "swagger_ui_parameters": {"deepLinking": False},
        "middleware": [Middleware(CORSMiddleware, allow_origins=["https://a.test"])],
        "exception_handlers": {LookupError: teapot},
        "lifespan": lifespan,
        "terms_of_service": "https://a.test/terms",
        "contact": {"name": "c"},
        "license_info": {"name": "MIT", "identifier": "MIT"},
        "root_path": "/api",
        "root_path_in_servers": False,
        "responses": {410: {"description": "Gone"}},
        "callbacks": callback_router().routes,
        "webhooks": webhooks,
        "deprecated": True,
        "include_in_schema": True,
        "generate_unique_id_function": lambda route: f"app-{route.name}",
        "separate_input_output_schemas": False,
        "openapi_external_docs": {"url": "https://a.test/docs"},
        "strict_content_type": False,
    }
    app = FastAPI(**known(FastAPI, options))

    @app.get("/raises")
    async def raises():
        raise LookupError("odd")

    @app.get("/read")
    def read():
        return "read"

    @app.post("/item")
    async def create(item: Item):
        return item

    return app


@case(
    [(200, get("/sub/x")), ({200, 404}, get("/r/sub/x")), (404, get("/ws")), (404, get("/r/ws"))],
    wild=False,
    fallback=["*"],
)
def options_of_mounts_and_websockets(trace: Trace) -> FastAPI:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(f"{scope['root_path']} {scope['path']}")(scope, receive, send)

    async def echo(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    guard = [Depends(lambda: trace("guard"))]
    router = APIRouter()
    app = FastAPI()
    for target in (app, router):
        target.mount("/sub", app=answer, name="sub")
        target.websocket("/ws", name="ws", dependencies=guard)(echo)
        target.add_api_websocket_route("/ws2", echo, name="ws2", dependencies=guard)
    app.include_router(router, prefix="/r")
    return app


@case(
    [(200, get("/app/a.txt")), (200, get("/r/files/a.txt")), (404, get("/app/none"))],
    wild=False,
    steady=False,
    since=("0.138.0", "app.frontend()"),
    fallback=["*"],
)
def options_of_frontends(trace: Trace) -> FastAPI:
    import os
    from pathlib import Path

    folder = tempfile.mkdtemp()
    path = Path(folder, "a.txt")
    path.write_text("text")
    os.utime(path, (1_700_000_000, 1_700_000_000))

    app = FastAPI()
    # Most of these applications are listed only, and never end.
    weakref.finalize(app, shutil.rmtree, folder, ignore_errors=True)
    app.frontend("/app", directory=folder, fallback=None, check_dir=True)
    router = APIRouter()
    router.frontend("/files", directory=folder, fallback=None, check_dir=True)
    app.include_router(router, prefix="/r")
    return app
