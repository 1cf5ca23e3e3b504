"""Dependencies with yield: kinds, order, scopes, exceptions, context."""

import contextvars
import functools
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import AfterValidator, BaseModel
from starlette.background import BackgroundTask

from ..case import Settled, case
from ..request import get, post
from ..trace import Trace, where

SCOPES = ("0.121.0", "Depends(scope=...)")


def noting(trace: Trace, name: str, *, sync: bool, value: Any = None) -> Any:
    """A dependency that notes its begin, the exceptions that it hears of, and its end."""

    def sync_one():
        trace("open", name, where())
        try:
            yield value or name
        except BaseException as error:
            trace(name, "hears", type(error).__name__, *str(error).splitlines()[:1])
            raise
        finally:
            trace("close", name, where())

    async def async_one():
        trace("open", name, where())
        try:
            yield value or name
        except BaseException as error:
            trace(name, "hears", type(error).__name__, *str(error).splitlines()[:1])
            raise
        finally:
            trace("close", name, where())

    return sync_one if sync else async_one


@case([(200, get(f"/{kind}/{order}")) for kind in ("def", "async") for order in ("s", "a", "sa", "as", "ssaa", "sasa")])
def yield_order(trace: Trace) -> FastAPI:
    """Sync and async ones in each order, around both kinds of endpoint."""
    app = FastAPI()
    for order in ("s", "a", "sa", "as", "ssaa", "sasa"):
        made = [Depends(noting(trace, f"{n}{kind}", sync=kind == "s")) for n, kind in enumerate(order)]

        def endpoint(tasks: BackgroundTasks):
            trace("endpoint", where())
            tasks.add_task(trace, "background")
            return "answer"

        async def async_endpoint(tasks: BackgroundTasks):
            trace("endpoint", where())
            tasks.add_task(trace, "background")
            return "answer"

        app.get(f"/def/{order}", dependencies=made)(endpoint)
        app.get(f"/async/{order}", dependencies=made)(async_endpoint)
    return app


@case(
    [
        (status, get(f"/{kind}/{order}?how={how}"))
        for kind in ("def", "async")
        for order in ("ss", "aa", "sa", "as")
        for how, status in (("none", 200), ("http", 404), ("value", 500), ("model", 500))
    ]
)
def yield_exceptions(trace: Trace) -> FastAPI:
    """Exceptions of the endpoint, and of its result, go through all that has begun, the last first."""
    app = FastAPI()

    class Model(BaseModel):
        a: int

    def act(how: str) -> Any:
        trace("endpoint", how)
        if how == "http":
            raise HTTPException(404, "nothing", {"X-Why": "because"})
        if how == "value":
            raise ValueError("wrong")
        return {"a": "x"} if how == "model" else {"a": 1}

    def endpoint(how: str):
        return act(how)

    async def async_endpoint(how: str):
        return act(how)

    for order in ("ss", "aa", "sa", "as"):
        made = [Depends(noting(trace, f"{n}{kind}", sync=kind == "s")) for n, kind in enumerate(order)]
        app.get(f"/def/{order}", dependencies=made, response_model=Model)(endpoint)
        app.get(f"/async/{order}", dependencies=made, response_model=Model)(async_endpoint)
    return app


@case(
    [
        (status, get(f"/{kind}/{what}"))
        for kind in ("def", "async")
        for what, status in (
            ("converts", 418),
            ("swallows", 500),
            ("late", {200, 500}),
            ("late-http", {200, 418}),
            ("twice", {200, 500}),
            ("never", 500),
            ("before", 401),
            ("after-open", 401),
        )
    ]
)
def yield_that_interferes(trace: Trace) -> FastAPI:
    """What dependencies do with exceptions, and raise by themselves, at each moment."""
    app = FastAPI()

    def sync_ones() -> dict[str, Any]:
        def converts():
            try:
                yield
            except ValueError as error:
                trace("converts")
                raise HTTPException(418, "converted") from error

        def swallows():
            try:
                yield
            except ValueError:
                trace("swallows")

        def late():
            yield
            trace("late")
            raise RuntimeError("at its end")

        def late_http():
            yield
            trace("late http")
            raise HTTPException(418, "at its end")

        def twice():
            yield 1
            trace("between")
            yield 2

        def never():
            trace("never")
            if trace is None:
                yield

        def before():
            trace("before")
            raise HTTPException(401)
            yield

        return {"converts": converts, "swallows": swallows, "late": late, "late-http": late_http, "twice": twice,
                "never": never, "before": before, "after-open": before}  # fmt: skip

    def async_ones() -> dict[str, Any]:
        async def converts():
            try:
                yield
            except ValueError as error:
                trace("converts")
                raise HTTPException(418, "converted") from error

        async def swallows():
            try:
                yield
            except ValueError:
                trace("swallows")

        async def late():
            yield
            trace("late")
            raise RuntimeError("at its end")

        async def late_http():
            yield
            trace("late http")
            raise HTTPException(418, "at its end")

        async def twice():
            yield 1
            trace("between")
            yield 2

        async def never():
            trace("never")
            if trace is None:
                yield

        async def before():
            trace("before")
            raise HTTPException(401)
            yield

        return {"converts": converts, "swallows": swallows, "late": late, "late-http": late_http, "twice": twice,
                "never": never, "before": before, "after-open": before}  # fmt: skip

    for what, one in sync_ones().items():

        def endpoint(what: str = what):
            trace("endpoint", what)
            if what in ("converts", "swallows"):
                raise ValueError
            return what

        outer = Depends(noting(trace, "outer", sync=True))
        app.get(f"/def/{what}", dependencies=[outer, Depends(one)])(endpoint)
    for what, one in async_ones().items():

        async def async_endpoint(what: str = what):
            trace("endpoint", what)
            if what in ("converts", "swallows"):
                raise ValueError
            return what

        outer = Depends(noting(trace, "outer", sync=what != "after-open"))
        app.get(f"/async/{what}", dependencies=[outer, Depends(one)])(async_endpoint)
    return app


@case(
    [
        (status, get(f"/{kind}/{how}"))
        for kind in ("def", "async", "mixed")
        for how, status in (("fine", 200), ("http", 404), ("value", 500))
    ],
    since=SCOPES,
)
def yield_scopes(trace: Trace) -> FastAPI:
    """Scope "function" ends before the response, "request" after it; one of the first cannot need one of the second."""
    app = FastAPI()

    def act(how: str) -> str:
        trace("endpoint")
        if how == "http":
            raise HTTPException(404)
        if how == "value":
            raise ValueError("wrong")
        return how

    def endpoint(how: str, tasks: BackgroundTasks):
        tasks.add_task(trace, "background")
        return act(how)

    async def async_endpoint(how: str, tasks: BackgroundTasks):
        tasks.add_task(trace, "background")
        return act(how)

    def made(kinds: str) -> list[Any]:
        function = [
            Depends(noting(trace, f"{n} function", sync=k == "s"), scope="function") for n, k in enumerate(kinds)
        ]
        request = [Depends(noting(trace, f"{n} request", sync=k == "s"), scope="request") for n, k in enumerate(kinds)]
        return [function[0], request[0], request[1], function[1]]

    app.get("/def/{how}", dependencies=made("ss"))(endpoint)
    app.get("/async/{how}", dependencies=made("aa"))(async_endpoint)
    app.get("/mixed/{how}", dependencies=made("sa"))(async_endpoint)
    return app


@case(
    [(500, get(f"/{kind}/{what}")) for kind in ("def", "async", "mixed") for what in ("swallows", "both", "ends")],
    since=SCOPES,
    wild=False,
)
def yield_scopes_that_swallow(trace: Trace) -> FastAPI:
    """A function scope that swallows leaves FastAPI without a response, which a request scope hears of."""
    app = FastAPI()

    def swallowing(name: str, *, sync: bool) -> Any:
        def sync_one():
            try:
                yield
            except Exception as error:
                trace(name, type(error).__name__, error)

        async def async_one():
            try:
                yield
            except Exception as error:
                trace(name, type(error).__name__, error)

        return sync_one if sync else async_one

    def failing(*, sync: bool) -> Any:
        def sync_one():
            yield
            raise ValueError("at the end")

        async def async_one():
            yield
            raise ValueError("at the end")

        return sync_one if sync else async_one

    def endpoint():
        raise ValueError("wrong")

    async def async_endpoint():
        raise ValueError("wrong")

    @app.exception_handler(UnboundLocalError)
    def unbound(request: Request, error: UnboundLocalError):
        trace("handler", error)
        return JSONResponse(str(error), 500)

    for kind, first, second in (("def", True, True), ("async", False, False), ("mixed", True, False)):
        target = endpoint if kind == "def" else async_endpoint
        inner = Depends(swallowing("inner", sync=second), scope="function")
        outer = Depends(swallowing("outer", sync=first), scope="request")
        noted = Depends(noting(trace, "noted", sync=first), scope="request")
        ends = Depends(failing(sync=second), scope="function")
        app.get(f"/{kind}/swallows", dependencies=[noted, inner])(target)
        app.get(f"/{kind}/both", dependencies=[outer, inner])(target)
        app.get(f"/{kind}/ends", dependencies=[noted, ends])(target)
    return app


variable: contextvars.ContextVar[str] = contextvars.ContextVar("yield_variable", default="unset")


@case([(200, get(f"/{kind}/{order}")) for kind in ("def", "async") for order in ("s", "a", "sa", "as", "sas")])
def yield_context(trace: Trace) -> FastAPI:
    """What a sync dependency sets is lost, at its end, too; what an async one sets is seen by all after it."""
    app = FastAPI()

    def setting(name: str, *, sync: bool) -> Any:
        def sync_one():
            trace(name, "begins with", variable.get())
            variable.set(name)
            yield
            trace(name, "ends with", variable.get())
            variable.set(f"end of {name}")

        async def async_one():
            trace(name, "begins with", variable.get())
            token = variable.set(name)
            yield
            trace(name, "ends with", variable.get())
            variable.reset(token)

        return sync_one if sync else async_one

    def endpoint(tasks: BackgroundTasks):
        tasks.add_task(lambda: trace("background with", variable.get()))
        trace("endpoint with", variable.get())
        variable.set("endpoint")

    async def async_endpoint(tasks: BackgroundTasks):
        tasks.add_task(lambda: trace("background with", variable.get()))
        trace("endpoint with", variable.get())
        variable.set("endpoint")

    for order in ("s", "a", "sa", "as", "sas"):
        made = [Depends(setting(f"{n}{kind}", sync=kind == "s")) for n, kind in enumerate(order)]
        app.get(f"/def/{order}", dependencies=made)(endpoint)
        app.get(f"/async/{order}", dependencies=made)(async_endpoint)
    return app


@case(
    [
        (200, get("/method?n=2")),
        (200, get("/object?n=3")),
        (200, get("/partial")),
        (422, get("/method?n=x")),
        (200, get("/async-object")),
    ]
)
def yield_callables(trace: Trace) -> FastAPI:
    """Methods, callable objects and partials that make generators."""
    app = FastAPI()

    class Pool:
        def method(self, n: int):
            trace("open method", where())
            yield n
            trace("close method")

        def __call__(self, n: int):
            trace("open object", where())
            yield n * 2
            trace("close object")

    class AsyncPool:
        async def __call__(self):
            trace("open async object", where())
            yield "async"
            trace("close async object")

    pool = Pool()

    @app.get("/method")
    def method(value: Annotated[int, Depends(pool.method)]):
        return value

    @app.get("/object")
    async def an_object(value: Annotated[int, Depends(pool)]):
        return value

    @app.get("/partial")
    def partially(value: Annotated[int, Depends(functools.partial(pool.method, n=7))]):
        return value

    @app.get("/async-object")
    async def async_object(value: Annotated[str, Depends(AsyncPool())]):
        return value

    return app


@case([(200, get("/wrapped?n=4")), (200, get("/wrapped-async?n=5"))], since=("0.123.5", "looking through wrappers"))
def yield_decorated(trace: Trace) -> FastAPI:
    """A wrapper runs on the loop, where FastAPI makes the generator."""
    app = FastAPI()

    def decorated(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            trace("wrapper", where())
            return function(*args, **kwargs)

        return wrapper

    @decorated
    def wrapped(n: int):
        trace("open wrapped", where())
        yield n
        trace("close wrapped")

    @decorated
    async def wrapped_async(n: int):
        trace("open wrapped async", where())
        yield n
        trace("close wrapped async")

    @app.get("/wrapped")
    def with_wrapped(value: Annotated[int, Depends(wrapped)]):
        return value

    @app.get("/wrapped-async")
    async def with_wrapped_async(value: Annotated[int, Depends(wrapped_async)]):
        return value

    return app


@case(
    [
        (200, get("/a/nested?n=1")),
        (422, get("/a/nested?n=x")),
        (403, get("/a/nested?n=0")),
        (200, get("/a/cached?n=2")),
        (200, get("/a/uncached?n=2")),
        (403, get("/a/uncached?n=0")),
    ]
)
def yield_nesting(trace: Trace) -> FastAPI:
    """Application, router and route; one that needs another; shared and made anew."""

    def connection(n: int):
        trace("connect", n)
        yield {"n": n}
        trace("disconnect", n)

    async def session(connection: Annotated[dict, Depends(connection)]):
        trace("begin")
        try:
            yield connection | {"session": True}
            trace("commit")
        except Exception:
            trace("rollback")
            raise

    def user(session: Annotated[dict, Depends(session)], n: int):
        if n == 0:
            raise HTTPException(403, "nobody")
        return session["n"]

    app = FastAPI(dependencies=[Depends(noting(trace, "app", sync=True))])
    router = APIRouter(prefix="/a", dependencies=[Depends(noting(trace, "router", sync=False))])

    @router.get("/nested", dependencies=[Depends(noting(trace, "route", sync=True))])
    async def nested(user: Annotated[int, Depends(user)], session: Annotated[dict, Depends(session)]):
        return [user, session]

    @router.get("/cached")
    def cached(one: Annotated[dict, Depends(connection)], two: Annotated[dict, Depends(connection)]):
        return one is two

    @router.get("/uncached")
    def uncached(
        one: Annotated[dict, Depends(connection)],
        two: Annotated[dict, Depends(connection, use_cache=False)],
        user: Annotated[int, Depends(user)],
    ):
        return [one is two, user]

    app.include_router(router)
    return app


@case(
    [
        (200, get("/")),
        (lambda app: app.dependency_overrides.update({app.state.original: app.state.replacement})),
        Settled(200, get("/")),
        (200, get("/sync")),
        (lambda app: app.dependency_overrides.update({app.state.original: lambda: "plain"})),
        Settled(200, get("/")),
        (200, get("/sync")),
        (lambda app: app.dependency_overrides.clear()),
        Settled(200, get("/sync")),
    ],
    steady=False,
)
def yield_overrides(trace: Trace) -> FastAPI:
    """Another kind of dependency in its place, and back."""
    app = FastAPI()
    app.state.original = noting(trace, "original", sync=True)
    app.state.replacement = noting(trace, "replacement", sync=False)

    @app.get("/")
    async def read(value: Annotated[str, Depends(app.state.original)]):
        return value

    @app.get("/sync")
    def sync(value: Annotated[str, Depends(app.state.original)]):
        return value

    return app


@case(
    [
        (status, get(f"/{kind}/{what}"))
        for kind in ("def", "async", "mixed")
        for what, status in (
            ("plain", 200),
            ("json", 201),
            ("stream", 200),
            ("background", 200),
            ("header", 202),
            ("custom", 200),
            ("model", 200),
            ("none", 204),
        )
    ]
)
def yield_results(trace: Trace) -> FastAPI:
    """Every kind of answer leaves before the dependencies end (or after, in older releases)."""
    app = FastAPI()

    class Model(BaseModel):
        a: int = 1

    class Custom(PlainTextResponse):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            trace("sends itself")
            await super().__call__(scope, receive, send)
            trace("has sent itself")

    async def chunks():
        for n in range(3):
            trace("chunk", n)
            yield f"{n}"

    def make(what: str, response: Response) -> Any:
        trace("endpoint", what)
        if what == "json":
            return JSONResponse({"a": 1}, 201, {"X-A": "b"})
        if what == "stream":
            return StreamingResponse(chunks(), background=BackgroundTask(trace, "background of a stream"))
        if what == "background":
            return PlainTextResponse("p", background=BackgroundTask(trace, "own background"))
        if what == "header":
            response.headers["X-From"] = "endpoint"
            response.status_code = 202
            return [1]
        if what == "custom":
            return Custom("custom")
        return {"model": Model(), "none": None}.get(what, {"plain": True})

    for kind, kinds in (("def", "ss"), ("async", "aa"), ("mixed", "sa")):
        made = [Depends(noting(trace, f"{n}{k}", sync=k == "s")) for n, k in enumerate(kinds)]
        for what in ("plain", "json", "stream", "background", "header", "custom", "model", "none"):

            def endpoint(response: Response, tasks: BackgroundTasks, what: str = what):
                tasks.add_task(trace, "handed in")
                return make(what, response)

            async def async_endpoint(response: Response, tasks: BackgroundTasks, what: str = what):
                tasks.add_task(trace, "handed in")
                return make(what, response)

            app.get(
                f"/{kind}/{what}",
                dependencies=made,
                status_code=204 if what == "none" else 200,
                include_in_schema=False,
            )(endpoint if kind == "def" else async_endpoint)
    return app


@case(
    [(200, get(f"/{kind}", {"X-Number": "1"})) for kind in ("def", "async")]
    + [(422, get(f"/{kind}", {"X-Number": "0"})) for kind in ("def", "async")]
    + [(200, post("/body", json={"n": 3})), (422, post("/body", json={"n": -3})), (422, post("/body", json={"n": "x"}))]
)
def yield_and_late_errors(trace: Trace) -> FastAPI:
    """A function of the application refuses the endpoint's parameter after the dependencies have begun."""
    app = FastAPI()

    def positive(value: int) -> int:
        trace("validates", value)
        if value <= 0:
            raise ValueError("must be positive")
        return value

    class Body(BaseModel):
        n: Annotated[int, AfterValidator(positive)]

    @app.get("/def", dependencies=[Depends(noting(trace, "sync", sync=True))])
    def endpoint(x_number: Annotated[int, AfterValidator(positive), Header()]):
        return x_number

    @app.get("/async", dependencies=[Depends(noting(trace, "async", sync=False))])
    async def async_endpoint(x_number: Annotated[int, AfterValidator(positive), Header()]):
        return x_number

    @app.post(
        "/body", dependencies=[Depends(noting(trace, "sync", sync=True)), Depends(noting(trace, "a", sync=False))]
    )
    async def with_body(body: Body):
        return body

    return app


@case(
    [
        (status, get(f"/{kind}/{where}"))
        for kind in ("def", "async")
        for where, status in (("nowhere", 200), ("fastapi_inner_astack", 200), ("fastapi_function_astack", 200))
    ]
    + [(404, get(f"/{kind}/raises")) for kind in ("def", "async")],
    since=SCOPES,
)
def yield_and_exit_stacks(trace: Trace) -> FastAPI:
    """Code of the application's puts something on FastAPI's own stacks, between its dependencies."""
    app = FastAPI()

    def pushing(request: Request, where: str):
        if where in request.scope:
            request.scope[where].callback(trace, "pushed on", where)
        if where == "raises":
            request.scope["fastapi_inner_astack"].callback(trace, "pushed before an exception")

    def ends(where: str) -> Any:
        if where == "raises":
            raise HTTPException(404)
        return where

    for kind, sync in (("def", True), ("async", False)):
        made = [
            Depends(noting(trace, "before", sync=sync)),
            Depends(noting(trace, "before, function", sync=sync), scope="function"),
            Depends(pushing),
            Depends(noting(trace, "after, function", sync=sync), scope="function"),
            Depends(noting(trace, "after", sync=sync)),
        ]

        def endpoint(where: str):
            return ends(where)

        async def async_endpoint(where: str):
            return ends(where)

        app.get(f"/{kind}/{{where}}", dependencies=made)(endpoint if kind == "def" else async_endpoint)
    return app


@case([(200, get("/timeout")), (200, get("/group")), (200, get("/inner")), (504, get("/slow"))])
def yield_and_cancel_scopes(trace: Trace) -> FastAPI:
    """Scopes and groups of AnyIO's that an async dependency holds open: begun and ended in one task."""
    app = FastAPI()

    async def timeout():
        with anyio.move_on_after(60) as scope:
            yield scope
        trace("not cancelled", scope.cancelled_caught)

    async def group():
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0)
            yield group
            group.cancel_scope.cancel()
        trace("group ended")

    async def short():
        with anyio.move_on_after(0.02) as scope:
            yield
        if scope.cancelled_caught:
            trace("timed out")
            raise HTTPException(504)

    def sync(scope: Annotated[Any, Depends(timeout)]):
        trace("sync inside", where())
        yield scope.cancel_called
        trace("sync ends inside", where())

    @app.get("/timeout")
    def with_timeout(scope: Annotated[Any, Depends(timeout)]):
        return scope.cancel_called

    @app.get("/group")
    async def with_group(group: Annotated[Any, Depends(group)]):
        return group.cancel_scope.cancel_called

    @app.get("/inner")
    def inner(called: Annotated[bool, Depends(sync)], tasks: BackgroundTasks):
        tasks.add_task(trace, "background")
        return called

    @app.get("/slow", dependencies=[Depends(short)])
    async def slow():
        await anyio.sleep(60)

    return app
