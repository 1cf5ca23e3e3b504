"""What middleware does to routes that go on after their answer: it gives up, answers itself, raises, asks twice."""

import asyncio
from typing import Any

import anyio
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.background import BackgroundTask

from ..case import Settled, case
from ..request import get
from ..trace import Trace, where
from .middleware_http import who

KINDS = ("sync", "async", "mixed", "tasks", "returned", "streamed")


def noting(trace: Trace, name: str, *, sync: bool) -> Any:
    """A dependency that notes its begin, its end, and the class of what it hears."""

    def sync_one():
        trace("open", name, where())
        try:
            yield
        except GeneratorExit:
            return  # older FastAPI leaves it to the garbage collector when it is cancelled
        except BaseException as error:
            trace(name, "hears", type(error).__name__)
            trace("close", name, where())
            raise
        trace("close", name, where())

    async def async_one():
        trace("open", name, where())
        try:
            yield
        except BaseException as error:
            trace(name, "hears", type(error).__name__)
            raise
        finally:
            trace("close", name, where())

    return sync_one if sync else async_one


def routes(app: FastAPI, trace: Trace) -> FastAPI:
    """A route for each way to go on after the answer; `how` says what goes wrong."""

    def act(how: str) -> str:
        trace("endpoint", where(), who.get())
        if how == "http":
            raise HTTPException(404)
        if how == "value":
            raise ValueError("wrong")
        return how

    def work(name: str, how: str) -> None:
        trace(name, where(), who.get())
        if how == "work":
            raise RuntimeError("in the background")

    async def late(how: str):
        yield
        if how == "late":
            trace("late")
            raise HTTPException(418, "late")

    y, big_y = noting(trace, "sync one", sync=True), noting(trace, "async one", sync=False)

    @app.get("/sync/{how}", dependencies=[Depends(y)])
    def sync(how: str):
        return act(how)

    @app.get("/async/{how}", dependencies=[Depends(big_y), Depends(late)])
    async def plain(how: str):
        return act(how)

    @app.get("/mixed/{how}", dependencies=[Depends(y), Depends(big_y), Depends(late)])
    def mixed(how: str, request: Request, tasks: BackgroundTasks):
        tasks.add_task(work, "background", how)
        request.state.seen = "by the route"
        return act(how)

    @app.get("/tasks/{how}")
    async def injected(how: str, tasks: BackgroundTasks):
        tasks.add_task(work, "first", how)
        tasks.add_task(trace, "second")
        who.set("the route")
        return act(how)

    @app.get("/returned/{how}")
    def returned(how: str):
        return JSONResponse(act(how), background=BackgroundTask(work, "returned", how))

    @app.get("/streamed/{how}", dependencies=[Depends(y), Depends(big_y)])
    async def streamed(how: str):
        async def parts() -> Any:
            yield act(how)
            trace("last part")

        return StreamingResponse(parts(), background=BackgroundTask(work, "streamed", how))

    @app.exception_handler(HTTPException)
    async def handle(request: Request, error: HTTPException):
        trace("handler", error.status_code)
        return PlainTextResponse("handled", error.status_code)

    return app


ASKS = [
    ({200, 404, 418, 500}, get(f"/{kind}/{how}"))
    for kind in KINDS
    for how in ("fine", "http", "value", "late", "work")
    if (kind, how) not in (("streamed", "http"), ("streamed", "value"))
]
# A complete answer ends what listens for the client's departure, and with it Starlette's stream: not asked for wildly.
WHOLE = [step for step in ASKS if not step[1].target.startswith(b"/streamed")]
WAITS = ("0.136.0", "middleware whose route waits until the response was sent")
KEPT = [Settled(200, get(f"/{kind}/fine")) for kind in KINDS]


@case([*ASKS, *KEPT])
def after_call_next(trace: Trace) -> FastAPI:
    """What it does after call_next comes before the ends and the background; it shares state and context."""
    app = FastAPI()

    @app.middleware("http")
    async def note(request: Request, call_next: Any):
        who.set("middleware")
        trace("before")
        try:
            response = await call_next(request)
        except Exception as error:
            trace("hears", type(error).__name__, error)
            raise
        trace("after", response.status_code, getattr(request.state, "seen", None), who.get())
        trace("route", getattr(request.scope.get("route"), "path", None))
        response.headers["X-After"] = "1"
        return response

    return routes(app, trace)


@case(ASKS)
def exceptions_become_answers(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def catch(request: Request, call_next: Any):
        try:
            return await call_next(request)
        except Exception as error:
            trace("caught", type(error).__name__)
            return PlainTextResponse("caught", 500)

    return routes(app, trace)


@case(WHOLE, wild=False)
def another_response(trace: Trace) -> FastAPI:
    """A response of its own, with a background task of its own."""
    app = FastAPI()

    @app.middleware("http")
    async def instead(request: Request, call_next: Any):
        await call_next(request)
        trace("instead")
        return JSONResponse("another", background=BackgroundTask(trace, "its own background"))

    return routes(app, trace)


@case(WHOLE, since=WAITS, wild=False)
def tasks_of_its_own(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def more(request: Request, call_next: Any):
        response = await call_next(request)
        response.background = BackgroundTask(trace, "the middleware's")
        return response

    return routes(app, trace)


@case([(500, get(f"/{kind}/{how}")) for kind in KINDS for how in ("fine", "http")])
def raises_after_call_next(trace: Trace) -> FastAPI:
    """The route is cancelled while it waits for its answer to be sent."""
    app = FastAPI()

    @app.middleware("http")
    async def fail(request: Request, call_next: Any):
        await call_next(request)
        trace("fails")
        raise RuntimeError("after call_next")

    return routes(app, trace)


@case([(500, get(f"/{kind}/fine")) for kind in ("async", "tasks")], since=WAITS, wild=False)
def asks_twice(trace: Trace) -> FastAPI:
    """What is called the second time hears that it is cancelled; threads may have begun by then, or not."""
    app = FastAPI()

    @app.middleware("http")
    async def twice(request: Request, call_next: Any):
        try:
            await call_next(request)
            return await call_next(request)
        except Exception as error:
            trace("twice", type(error).__name__)
            raise

    return routes(app, trace)


def slow_routes(app: FastAPI, trace: Trace) -> FastAPI:
    """Routes that are waited for longer than the middleware does."""
    y, big_y = noting(trace, "sync one", sync=True), noting(trace, "async one", sync=False)

    async def patient():
        try:
            yield
        finally:
            trace("ending")
            await asyncio.sleep(0.01)
            trace("ended")

    @app.get("/async", dependencies=[Depends(y), Depends(big_y)])
    async def waits():
        trace("waits")
        try:
            await asyncio.sleep(30)
        finally:
            trace("stops")

    @app.get("/patient", dependencies=[Depends(patient), Depends(y)])
    async def waits_patiently():
        await asyncio.sleep(30)

    @app.get("/fast", dependencies=[Depends(y)])
    async def fast():
        return "fast"

    return app


class Limit:
    """Plain ASGI middleware that answers itself where `by`, a function that awaits a call, says that it was late."""

    def __init__(self, app: Any, by: Any, trace: Trace) -> None:
        self.app, self.by, self.trace = app, by, trace

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif await self.by(self.app(scope, receive, send)):
            self.trace("timeout")
            await PlainTextResponse("too late", 504)(scope, receive, send)


async def by_a_scope(call: Any) -> bool:
    with anyio.move_on_after(0.2) as limit:
        await call
    return limit.cancelled_caught


async def by_a_task(call: Any) -> bool:
    try:
        await asyncio.wait_for(call, 0.2)
    except TimeoutError:
        return True
    return False


# Not asked for wildly: on a busy machine a thread may take its time to begin.
TIMEOUTS = [(504, get("/async")), (504, get("/patient")), (200, get("/fast"))]


@case(TIMEOUTS, wild=False)
def a_timeout_of_anyio_around_call_next(trace: Trace) -> FastAPI:
    app = FastAPI()

    @app.exception_handler(TimeoutError)
    async def late(request: Request, error: TimeoutError):
        trace("never: it stands inside of the middleware")

    @app.middleware("http")
    async def outer(request: Request, call_next: Any):
        try:
            return await call_next(request)
        except TimeoutError:
            trace("timeout")
            return PlainTextResponse("too late", 504)

    @app.middleware("http")
    async def never(request: Request, call_next: Any):
        return await call_next(request)

    app.add_middleware(Limit, by=by_a_scope, trace=trace)
    return slow_routes(app, trace)


@case(TIMEOUTS, wild=False)
def a_timeout_in_plain_middleware(trace: Trace) -> FastAPI:
    app = FastAPI()

    app.add_middleware(Limit, by=by_a_scope, trace=trace)
    return slow_routes(app, trace)


@case(TIMEOUTS, wild=False)
def a_task_that_is_waited_for(trace: Trace) -> FastAPI:
    app = FastAPI()

    app.add_middleware(Limit, by=by_a_task, trace=trace)
    return slow_routes(app, trace)


@case([(500, get("/async")), (500, get("/patient")), (200, get("/fast"))], wild=False)
def a_timeout_that_leaves_the_dispatch_function(trace: Trace) -> FastAPI:
    """Starlette cancels what it has called."""
    app = FastAPI()

    @app.middleware("http")
    async def limit(request: Request, call_next: Any):
        with anyio.fail_after(0.2):
            return await call_next(request)

    @app.middleware("http")
    async def outer(request: Request, call_next: Any):
        try:
            return await call_next(request)
        finally:
            trace("outer")

    return slow_routes(app, trace)
