"""Background tasks: who adds them, where they run, in which order, what happens when they fail."""

import contextvars
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.background import BackgroundTasks as StarletteTasks

from ..case import case
from ..request import get, post
from ..trace import Trace, where


@case(
    [
        (200, get(f"/{kind}/{what}"))
        for kind in ("def", "async")
        for what in ("none", "sync", "async", "mixed", "chain", "self", "three", "grows")
    ]
    + [
        (200, get(f"/{kind}/{what}"))
        for kind in ("def", "async")
        for what in ("returned", "both", "group", "threads", "stream")
    ]
    + [(307, get("/async/redirect")), (307, get("/def/redirect"))]
)
def background_kinds(trace: Trace) -> FastAPI:
    app = FastAPI()

    def sync(name: str) -> None:
        trace("sync", name, where())

    async def coroutine(name: str) -> None:
        trace("async", name, where())

    class Own(BackgroundTask):
        async def __call__(self) -> None:
            trace("own task", where())
            await super().__call__()

    def add(what: str, tasks: BackgroundTasks) -> Any:
        trace("endpoint", where())
        if what in ("sync", "mixed", "both"):
            tasks.add_task(sync, "one")
        if what in ("async", "mixed"):
            tasks.add_task(coroutine, name="two")
        if what == "mixed":
            tasks.add_task(sync, name="three")
            tasks.tasks.append(Own(coroutine, "four"))
        if what == "chain":
            tasks.add_task(lambda: tasks.add_task(sync, "added by a task"))
            tasks.add_task(coroutine, "before it")
        if what == "self":
            tasks.add_task(tasks.add_task, coroutine, "added by itself")
        if what == "three":
            for name in ("one", "two", "three"):
                tasks.add_task(sync, name)
        if what == "grows":  # from sync tasks to an async one and back
            tasks.add_task(lambda: [tasks.add_task(coroutine, "second"), tasks.add_task(sync, "third")])
        if what in ("returned", "both"):
            return PlainTextResponse("p", background=BackgroundTask(sync, "returned"))
        if what == "group":
            group = StarletteTasks([BackgroundTask(sync, "first"), BackgroundTask(coroutine, "second")])
            return JSONResponse([], background=group)
        if what == "threads":
            group = StarletteTasks([BackgroundTask(sync, "first"), BackgroundTask(sync, "second")])
            return JSONResponse([], background=group)
        if what == "stream":
            return StreamingResponse(iter("abc"), background=BackgroundTask(sync, "after a stream"))
        if what == "redirect":
            return RedirectResponse("/", background=BackgroundTask(coroutine, "after a redirect"))
        return what

    @app.get("/def/{what}")
    def endpoint(what: str, tasks: BackgroundTasks):
        return add(what, tasks)

    @app.get("/async/{what}")
    async def async_endpoint(what: str, tasks: BackgroundTasks):
        return add(what, tasks)

    return app


@case(
    [
        (status, get(f"/{kind}/{how}"))
        for kind in ("def", "async")
        for how, status in (
            ("value", 200),
            ("http", 200),
            ("handled", 200),
            ("stop", 200),
            ("async", 200),
            ("endpoint", 418),
        )
    ],
    wild=False,
)
def background_that_fails(trace: Trace) -> FastAPI:
    """The answer has gone; handlers of the class are not called, that of last resort is."""
    app = FastAPI()

    class Handled(Exception):
        pass

    @app.exception_handler(Handled)
    def handle(request: Request, error: Handled):
        trace("handled", request.url.path)
        return JSONResponse("handled", 418)

    @app.exception_handler(Exception)
    async def last(request: Request, error: Exception):
        trace("last resort", type(error).__name__, error, request.url.path)
        return JSONResponse("last", 500)

    def fail(how: str) -> None:
        trace("fails", how)
        raises = {"http": HTTPException(400), "handled": Handled("x"), "stop": StopIteration(7)}
        raise raises.get(how, ValueError("wrong"))

    async def fail_async(how: str) -> None:
        fail(how)

    def add(how: str, tasks: BackgroundTasks) -> str:
        tasks.add_task(fail_async if how == "async" else fail, how)
        tasks.add_task(trace, "never")
        if how == "endpoint":
            raise Handled
        return how

    @app.get("/def/{how}")
    def endpoint(how: str, tasks: BackgroundTasks):
        return add(how, tasks)

    @app.get("/async/{how}")
    async def async_endpoint(how: str, tasks: BackgroundTasks):
        return add(how, tasks)

    return app


@case([(200, get("/def")), (200, get("/async")), (202, post("/status")), (200, get("/dependencies"))])
def background_places(trace: Trace) -> FastAPI:
    """One list for the request, whoever asks for it; with headers, a status, cookies."""
    app = FastAPI()

    def first(tasks: BackgroundTasks):
        tasks.add_task(trace, "added by a dependency")
        return tasks

    async def second(tasks: BackgroundTasks):
        tasks.add_task(trace, "added by an async dependency")
        return tasks

    @app.get("/def")
    def endpoint(one: Annotated[Any, Depends(first)], tasks: BackgroundTasks, response: Response):
        response.set_cookie("a", "b")
        return one is tasks

    @app.get("/async")
    async def async_endpoint(one: Annotated[Any, Depends(second)], tasks: BackgroundTasks, response: Response):
        response.headers["X-A"] = "b"
        return one is tasks

    @app.post("/status", status_code=202)
    def status(tasks: BackgroundTasks):
        tasks.add_task(trace, "after 202")

    @app.get("/dependencies", dependencies=[Depends(first), Depends(second)])
    async def neither():
        trace("endpoint")

    return app


variable: contextvars.ContextVar[str] = contextvars.ContextVar("background_variable", default="unset")


@case([(200, get(f"/{kind}{only}")) for kind in ("def", "async") for only in ("", "?only=sync")])
def background_context(trace: Trace) -> FastAPI:
    """Sync tasks have copies of the request's context, async ones share it."""
    app = FastAPI()

    def sync(name: str) -> None:
        trace(name, variable.get())
        variable.set(name)

    async def coroutine(name: str) -> None:
        trace(name, variable.get())
        variable.set(name)

    def add(tasks: BackgroundTasks, only: str) -> None:
        variable.set("endpoint")
        for n in range(2):
            tasks.add_task(sync, f"sync {n}")
            if not only:
                tasks.add_task(coroutine, f"async {n}")

    @app.get("/def")
    def endpoint(tasks: BackgroundTasks, only: str = ""):
        add(tasks, only)

    @app.get("/async")
    async def async_endpoint(tasks: BackgroundTasks, only: str = ""):
        add(tasks, only)

    return app


@case([(200, get("/def")), (200, get("/async")), (200, post("/body", json=[1]))])
def background_with_the_request(trace: Trace) -> FastAPI:
    """The request is read after its answer."""
    app = FastAPI()

    async def look(request: Request) -> None:
        trace(
            request.url.path, await request.body(), await request.is_disconnected(), (await request.receive())["type"]
        )

    @app.get("/def")
    def endpoint(request: Request, tasks: BackgroundTasks):
        tasks.add_task(look, request)

    @app.get("/async")
    async def async_endpoint(request: Request, tasks: BackgroundTasks):
        tasks.add_task(look, request)

    @app.post("/body")
    async def body(request: Request, items: list[int], tasks: BackgroundTasks):
        tasks.add_task(look, request)
        return items

    return app
