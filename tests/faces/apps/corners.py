"""Corners that real applications have."""

import contextvars
import functools
import threading
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, RootModel

from ..case import case
from ..request import get, head, options, post
from ..trace import Trace, where
from .show import seen


@case(
    [
        (200, get("/async")),
        (200, get("/sync")),
        (200, get("/both")),
        (200, get("/awaits")),
        (200, get("/tasks")),
        (200, get("/anyio")),
    ]
)
def where_code_runs(trace: Trace) -> FastAPI:
    import asyncio

    import anyio

    app = FastAPI()
    loops: list[int] = []

    async def dependency():
        loops.append(threading.get_ident())
        trace("dependency", where())

    def sync_dependency():
        trace("sync dependency", where(), threading.get_ident() in loops)

    @app.get("/async", dependencies=[Depends(dependency), Depends(sync_dependency)])
    async def on_the_loop():
        trace("handler", where(), threading.get_ident() in loops)
        return asyncio.current_task() is not None

    @app.get("/sync", dependencies=[Depends(sync_dependency)])
    def on_a_thread():
        trace("handler", where(), threading.get_ident() in loops)
        return [where(), anyio.from_thread.run_sync(lambda: threading.get_ident() in loops)]

    @app.get("/both")
    async def both():
        return [where(), await asyncio.to_thread(where), await anyio.to_thread.run_sync(where)]

    @app.get("/awaits")
    async def awaits():
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        async with asyncio.timeout(5):
            await anyio.sleep(0)
        return where()

    @app.get("/tasks")
    async def tasks():
        async with asyncio.TaskGroup() as group:
            made = [group.create_task(asyncio.sleep(0, number)) for number in range(3)]
        return [task.result() for task in made]

    @app.get("/anyio")
    def from_thread():
        return anyio.from_thread.run(functools.partial(asyncio.sleep, 0, "through the loop"))

    return app


number: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)


@case([(200, get("/async")), (200, get("/async")), (200, get("/sync")), (200, get("/sync")), (200, get("/mixed"))])
def context_is_of_one_request(trace: Trace) -> FastAPI:
    app = FastAPI()

    def bump() -> int:
        number.set(number.get() + 1)
        return number.get()

    async def bump_async() -> int:
        return bump()

    @app.get("/async")
    async def read(
        first: Annotated[int, Depends(bump_async)], second: Annotated[int, Depends(bump_async, use_cache=False)]
    ):
        return [first, second, bump(), number.get()]

    @app.get("/sync")
    def read_sync(first: Annotated[int, Depends(bump)], second: Annotated[int, Depends(bump, use_cache=False)]):
        return [first, second, bump(), number.get()]

    @app.get("/mixed")
    def mixed(first: Annotated[int, Depends(bump_async)], second: Annotated[int, Depends(bump)]):
        return [first, second, number.get()]

    return app


@case(
    [
        (200, post("/list", json=[{"n": 1}])),
        (422, post("/list", json=[{"n": "x"}])),
        (200, post("/root", json={"a": 1})),
        (422, post("/root", json=[])),
        (200, get("/list")),
    ]
)
def root_models(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Item(BaseModel):
        n: int

    class Items(RootModel[list[Item]]):
        pass

    class Counts(RootModel[dict[str, int]]):
        pass

    @app.post("/list")
    async def create(items: Items) -> Items:
        trace("create", len(items.root))
        return items

    @app.post("/root")
    def counts(counts: Counts) -> Counts:
        return counts

    @app.get("/list")
    async def read() -> Items:
        return [{"n": 5}]  # type: ignore[return-value]

    return app


@case(
    [
        (200, get("/a/x")),
        (200, get("/b/x")),
        (200, get("/b/y")),
        (200, options("/a/x")),
        (405, post("/a/x")),
        (200, head("/a/x")),
        (200, get("/c")),
    ]
)
def one_function_on_many_routes(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.get("/a/{name}")
    @app.head("/a/{name}")
    @app.options("/a/{name}")
    @app.get("/b/{name}", status_code=200, response_model=dict[str, str])
    async def read(name: str, response: Response):
        response.headers["X-Name"] = name if name.isascii() and name.isprintable() else "?"
        return {"name": name}

    @app.get("/c")
    async def calls_another():
        return await read("called", Response())

    return app


@case([(200, get("/router")), (200, get("/own")), (299, get("/nested/router")), (422, get("/own?n=x"))])
def defaults_of_routers(trace: Trace) -> FastAPI:
    class Outer(JSONResponse):
        media_type = "application/x-outer"

    class Inner(JSONResponse):
        media_type = "application/x-inner"

    app = FastAPI(default_response_class=Outer)
    router = APIRouter(default_response_class=Inner)

    @router.get("/router", responses={299: {"description": "Odd."}})
    async def routed() -> dict[str, int]:
        return {"a": 1}

    @app.get("/own")
    def own(n: int = 1):
        return {"n": n}

    nested = APIRouter()

    @nested.get("/router", status_code=299, response_model=list[int], response_model_exclude_none=True)
    async def nested_route():
        return (1, 2)

    app.include_router(router)
    app.include_router(nested, prefix="/nested", default_response_class=Inner)
    return app


@case(
    [
        (200, get("/partial?a=1")),
        (200, get("/wrapped?a=2")),
        (422, get("/wrapped?a=x")),
        (200, get("/closure/1")),
        (200, get("/closure/2")),
        (200, get("/lambda?x=3")),
    ]
)
def callables_of_every_kind(trace: Trace) -> FastAPI:
    app = FastAPI()

    def timed(function: Any):
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any):
            trace("before", where())
            result = function(*args, **kwargs)
            trace("after")
            return result

        return wrapper

    async def base(a: int, b: str = "b"):
        trace("base", a, b, where())
        return [a, b]

    @timed
    def wrapped(a: int):
        return a

    def closure(value: int):
        def dependency():
            return value

        async def dependency_async():
            return -value

        return dependency if value % 2 else dependency_async

    app.get("/partial")(functools.partial(base, b="fixed"))
    app.get("/wrapped")(wrapped)
    for value in (1, 2):

        def make(value: int):
            async def read(got: Annotated[int, Depends(closure(value))], x: Annotated[Any, Depends(lambda: "lambda")]):
                return [got, x]

            return read

        app.get(f"/closure/{value}")(make(value))
    app.get("/lambda")(lambda x=0: {"x": x})
    return app


def text_number(q: "int" = 0) -> "int":
    return q + 1


@case([(200, get("/")), (200, get("/?q=1")), (422, get("/?q=x")), (200, get("/dep")), (200, get("/request"))])
def annotations_as_text(trace: Trace) -> FastAPI:
    """As `from __future__ import annotations` makes them."""
    app = FastAPI()

    async def read(q: "int | None" = None) -> "dict[str, list[str]]":
        return seen(q=q)

    def dep(n: "Annotated[int, Depends(text_number)]") -> "Any":
        return n

    async def request(request: "Request", response: "Response"):
        response.headers["X-Path"] = "set"
        return request.url.path

    app.get("/")(read)
    app.get("/dep")(dep)
    app.get("/request")(request)
    return app
