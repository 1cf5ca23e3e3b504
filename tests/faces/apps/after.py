"""Work around and after the answer: background tasks, dependencies with yield."""

from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask

from ..case import case
from ..request import get, post
from ..trace import Trace, where


@case(
    [
        (200, get("/one")),
        (200, get("/several")),
        (200, get("/response")),
        (200, get("/dependency")),
        (200, get("/sync")),
        (200, get("/one")),
        (202, post("/status")),
        (422, get("/one?n=x")),
        (404, get("/raises")),
        (200, get("/disconnect")),
    ],
)
def background_tasks(trace: Trace) -> FastAPI:
    app = FastAPI()

    async def work(name: str):
        trace("work", name, where())

    def sync_work(name: str):
        trace("sync work", name, where())

    @app.get("/one")
    async def one(tasks: BackgroundTasks, n: int = 1):
        tasks.add_task(work, f"one {n}")
        trace("handler")
        return "one"

    @app.get("/several")
    async def several(tasks: BackgroundTasks):
        tasks.add_task(sync_work, "first")
        tasks.add_task(work, name="second")
        return "several"

    @app.get("/response")
    async def response():
        return JSONResponse("r", background=BackgroundTask(sync_work, "response"))

    def dependency(tasks: BackgroundTasks):
        tasks.add_task(work, "dependency")

    @app.get("/dependency", dependencies=[Depends(dependency)])
    async def dependent(tasks: BackgroundTasks):
        tasks.add_task(work, "handler")

    @app.get("/sync")
    def sync(tasks: BackgroundTasks):
        tasks.add_task(sync_work, "sync")
        return "sync"

    @app.post("/status", status_code=202)
    async def status(tasks: BackgroundTasks, response: Response):
        tasks.add_task(work, "status")
        response.headers["X-Queued"] = "1"

    @app.get("/raises")
    async def raises(tasks: BackgroundTasks):
        tasks.add_task(work, "never")
        raise HTTPException(404)

    @app.get("/disconnect")
    async def disconnect(request: Request, tasks: BackgroundTasks):
        async def listen():
            message = await request.receive()
            message = await request.receive() if message["type"] == "http.request" else message
            trace("afterwards", message["type"])

        tasks.add_task(listen)
        return "listening"

    return app


@case([(200, get("/")), (200, get("/sync"))], wild=False)
def background_task_that_fails(trace: Trace) -> FastAPI:
    """The answer has gone; the rest of the tasks does not run."""
    app = FastAPI()

    def fail():
        trace("fails")
        raise RuntimeError("in the background")

    @app.get("/")
    async def read(tasks: BackgroundTasks):
        tasks.add_task(fail)
        tasks.add_task(trace, "never")
        return "answered"

    @app.get("/sync")
    def sync(tasks: BackgroundTasks):
        tasks.add_task(fail)
        return "answered"

    return app


@case(
    [
        (200, get("/one")),
        (200, get("/nested")),
        (404, get("/raises")),
        (500, get("/fails")),
        (422, get("/one?n=x")),
        (200, get("/sync")),
        (200, get("/cached")),
        (200, get("/tasks")),
        (418, get("/converts")),
    ],
)
def dependencies_with_yield(trace: Trace) -> FastAPI:
    app = FastAPI()

    async def one():
        trace("open one", where())
        try:
            yield "one"
        except Exception as error:
            trace("one saw", type(error).__name__)
            raise
        finally:
            trace("close one", where())

    def two(inner: Annotated[str, Depends(one)]):
        trace("open two", where())
        yield f"two {inner}"
        trace("close two", where())

    @app.get("/one")
    async def read(value: Annotated[str, Depends(one)], n: int = 1):
        trace("handler")
        return [value, n]

    @app.get("/nested")
    async def nested(value: Annotated[str, Depends(two)]):
        trace("handler")
        return value

    @app.get("/raises")
    async def raises(value: Annotated[str, Depends(one)]):
        raise HTTPException(404, value)

    @app.get("/fails")
    def fails(value: Annotated[str, Depends(two)]):
        raise RuntimeError(value)

    @app.get("/sync")
    def sync(value: Annotated[str, Depends(two)]):
        return value

    @app.get("/cached")
    async def cached(first: Annotated[str, Depends(one)], second: Annotated[str, Depends(two)]):
        return [first, second]

    @app.get("/tasks")
    async def tasks(value: Annotated[str, Depends(one)], tasks: BackgroundTasks):
        tasks.add_task(trace, "background")
        return value

    def converts():
        try:
            yield
        except ValueError as error:
            raise HTTPException(418, "converted") from error

    @app.get("/converts", dependencies=[Depends(converts)])
    async def converted():
        raise ValueError

    return app
