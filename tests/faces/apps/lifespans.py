"""What happens at an application's start and end."""

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request

from ..case import case
from ..request import get
from ..trace import Trace, where


@case(
    [(200, get("/")), (200, get("/state")), (200, get("/changed")), (200, get("/state")), (200, get("/late"))],
    steady=False,
)
def lifespan(trace: Trace) -> FastAPI:
    """State is copied for each request, shallowly; routes registered at start-up count."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        trace("start", where())
        app.state.ready = True

        @app.get("/late")
        async def late():
            return "registered at start-up"

        yield {"pool": ["a"], "name": "first"}
        trace("stop", where())

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def read(request: Request):
        return [request.app.state.ready, request.state.pool, request.state.name]

    @app.get("/state")
    def state(request: Request):
        request.state.name = "changed for this request"
        return [request.state.pool, request.state.name]

    @app.get("/changed")
    async def changed(request: Request):
        request.state.pool.append("b")
        return request.state.pool

    return app


@case([(200, get("/")), (200, get("/router"))])
def events(trace: Trace) -> FastAPI:
    app = FastAPI()
    router = APIRouter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")

        @app.on_event("startup")
        async def start():
            trace("startup")

        @app.on_event("shutdown")
        def stop():
            trace("shutdown")

        @router.on_event("startup")
        def router_start():
            trace("router startup")

    @app.get("/")
    async def read():
        return trace("read")

    @router.get("/router")
    async def routed():
        return "router"

    app.include_router(router)
    return app


@case([(200, get("/sub/")), (200, get("/"))], fallback=["*"])
def lifespans_of_mounts_are_not_run(trace: Trace) -> FastAPI:
    @asynccontextmanager
    async def note(app: FastAPI) -> AsyncIterator[None]:
        trace("start", app.title)
        yield
        trace("stop", app.title)

    app = FastAPI(title="main", lifespan=note)
    sub = FastAPI(title="sub", lifespan=note)
    app.mount("/sub", sub)

    @app.get("/")
    @sub.get("/")
    async def read():
        return "read"

    return app
