"""What is mounted beside FastAPI applications, and what a mounted one sees."""

import shutil
import tempfile
import weakref
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.applications import Starlette
from starlette.routing import Host, Mount, Route

from ..case import Settled, case
from ..request import get, head, post
from ..trace import Trace


@case(
    [
        (200, get("/sub/state")),
        Settled(200, get("/sub/state")),
        (200, get("/sub/tasks")),
        (200, get("/sub/custom")),
        (200, get("/sub/starlette")),
        (200, get("/sub/cookie", {"Cookie": "a=1"})),
        (418, get("/sub/dependency")),
    ],
    wild=False,
)
def what_a_mounted_application_sees(trace: Trace) -> FastAPI:
    class Noting(APIRoute):
        def get_route_handler(self) -> Any:
            original = super().get_route_handler()

            async def handler(request: Request) -> Response:
                trace("custom", request.app.title, request.scope["root_path"])
                return await original(request)

            return handler

    sub = FastAPI(title="Sub")
    sub.state.own = "own"

    @sub.get("/state")
    async def state(request: Request):
        return [request.app.state.own, request.state.from_lifespan, "fastapi" in request.scope]

    @sub.get("/tasks")
    def tasks(tasks: BackgroundTasks):
        tasks.add_task(trace, "task")
        return "tasks"

    noting = APIRouter(route_class=Noting)
    noting.get("/custom")(lambda: "custom")
    sub.include_router(noting)

    async def plain(request: Request) -> Response:
        return PlainTextResponse(f"{request.scope['root_path']} {request.url_for('state')}")

    sub.add_route("/starlette", plain)

    @sub.get("/cookie")
    async def cookie(request: Request, response: Response):
        response.set_cookie("b", "2")
        return request.cookies

    def refuse(request: Request):
        raise HTTPException(418, request.scope["root_path"])

    sub.get("/dependency", dependencies=[Depends(refuse)])(lambda: "never")

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        yield {"from_lifespan": 5}

    app = FastAPI(lifespan=lifespan)
    app.mount("/sub", sub)
    return app


@case(
    [
        (200, get("/files/a.txt")),
        (404, get("/files/none")),
        (405, post("/files/a.txt")),
        (200, head("/files/a.txt")),
        ({200, 404}, get("/deep/x/files/a.txt")),
        (404, get("/files/..%2Fsecret")),
        (404, get("/files/")),
    ],
    wild=False,
    fallback=["* /files", "* /deep/x/files", "* /deep/files"],
)
def static_files(trace: Trace) -> FastAPI:
    folder = tempfile.mkdtemp()
    path = Path(folder, "a.txt")
    path.write_text("text")
    import os

    os.utime(path, (1_700_000_000, 1_700_000_000))

    app = FastAPI()
    # Most of these applications are listed only, and never end.
    weakref.finalize(app, shutil.rmtree, folder, ignore_errors=True)
    app.mount("/files", StaticFiles(directory=folder), name="files")
    inner = APIRouter(prefix="/x")
    inner.mount("/files", StaticFiles(directory=folder))
    app.include_router(inner, prefix="/deep")
    return app


@case(
    [(200, get("/x/a")), (200, get("/y")), (404, get("/x")), (405, post("/x/a")), (200, get("/before"))],
    wild=False,
    fallback=["*"],
)
def mount_at_the_root(trace: Trace) -> FastAPI:
    app = FastAPI()
    app.get("/before")(lambda: "before")
    sub = FastAPI()
    sub.get("/x/{name}")(lambda name: name)
    sub.get("/y")(lambda request=1: "y")
    app.mount("/", sub)
    app.get("/never")(lambda: "never")
    return app


@case(
    [
        (200, get("/", {"Host": "api.test"})),
        (200, get("/v/5", {"Host": "v1.api.test"})),
        (200, get("/")),
        (404, get("/v/5")),
        (404, get("/nothing", {"Host": "api.test"})),
        (200, get("/early", {"Host": "api.test"})),
    ],
    wild=False,
    fallback=["*"],
)
def hosts(trace: Trace) -> FastAPI:
    async def by_version(request: Request) -> Response:
        return JSONResponse(request.path_params)

    api = FastAPI()
    api.get("/")(lambda: "api")
    app = FastAPI()
    app.get("/early")(lambda: "early")
    app.router.routes.append(Host("{version}.api.test", Starlette(routes=[Route("/v/{n:int}", by_version)])))
    app.host("api.test", api, name="api")
    app.get("/")(lambda: "main")
    return app


@case(
    [(200, get("/r/a/1")), (200, get("/r/b")), (404, get("/r/c")), (200, get("/asgi/x?y=1")), (405, post("/r/b"))],
    wild=False,
    fallback=["* /r", "* /asgi"],
)
def mounts_of_other_kinds(trace: Trace) -> FastAPI:
    async def show(request: Request) -> Response:
        return JSONResponse({"params": request.path_params, "root": request.scope["root_path"]})

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        trace("asgi", scope["path"], scope["root_path"], scope["query_string"])
        await PlainTextResponse("asgi")(scope, receive, send)

    app = FastAPI(routes=[Mount("/r", routes=[Route("/a/{n:int}", show), Route("/b", show)])])
    app.mount("/asgi", asgi, name="asgi")
    return app
