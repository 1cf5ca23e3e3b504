"""Which routes are compiled, how directly, and in which order their calls run."""

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Annotated, Any

import fastapi
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request, Response, Security
from fastapi.responses import StreamingResponse
from fastapi.security import APIKeyHeader, HTTPBearer, SecurityScopes
from pydantic import BaseModel

from tests.faces.case import version
from tests.faces.trace import Trace
from tests.plan.pair import Pair
from turboapi.plan import compile_app

Both = Callable[[Any], Pair]
seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


def lanes(pair: Pair) -> list[tuple[str, bool]]:
    (plan,) = pair.made.plans
    return [(stage.lane, stage.coroutine) for stage in plan.stages]


def where() -> str:
    return "main loop" if threading.current_thread().name.startswith("faces") else "thread"


def test_an_endpoint_with_plain_parameters_is_called_without_python_in_between(both: Both) -> None:
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def read(item_id: int, q: str = "none", limit: float = 1.5) -> None: ...

    pair = both(app)
    (plan,) = pair.made.plans
    assert plan.stages[0].call is read
    assert sorted((arg.source, arg.name, arg.default) for arg in plan.args) == [
        ("slot", "item_id", None),
        ("slot", "limit", 1.5),
        ("slot", "q", "none"),
    ]
    assert pair.get("/items/3?q=a").json() is None
    assert pair.how == "compiled"


def test_a_def_endpoint_runs_on_the_call_lane(both: Both, trace: Trace) -> None:
    app = FastAPI()

    @app.get("/")
    def read() -> None:
        trace(threading.current_thread() is threading.main_thread())

    pair = both(app)
    pair.get("/")
    assert lanes(pair) == [("call", False)]


def test_dependencies_run_once_in_fastapis_order(both: Both, trace: Trace) -> None:
    app = FastAPI()

    def base(q: int = 1) -> int:
        trace("base", q)
        return q

    def left(base: int = Depends(base)) -> int:
        trace("left")
        return base + 1

    def right(base: int = Depends(base), again: int = Depends(base, use_cache=False)) -> int:
        trace("right")
        return base + again

    @app.get("/", dependencies=[Depends(right)])
    def read(left: int = Depends(left), right: int = Depends(right), base: int = Depends(base)):
        trace("read", left, right, base)
        return [left, right, base]

    pair = both(app)
    assert pair.get("/?q=5").json() == [6, 10, 5]
    assert pair.how == "compiled"
    assert lanes(pair) == [("call", False)]
    pair.get("/?q=x")
    assert pair.how == "odd"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("ss", [("call", False)]),
        ("aa", [("loop", True)]),
        ("sa", [("call", False), ("loop", True)]),
        ("as", [("loop", True), ("call", False)]),
        ("asa", [("loop", True)]),
        ("sas", [("call", False), ("loop", True)]),
        ("ssaa", [("call", False), ("loop", True)]),
        ("aass", [("loop", True), ("call", False)]),
    ],
)
def test_context_variables_are_seen_as_in_fastapi(both: Both, trace: Trace, order: str, expected: Any) -> None:
    """What an async call sets is seen by all later ones, what a sync one sets by none."""
    app = FastAPI()

    def dependency(number: int, kind: str) -> Any:
        async def on_loop(q: str = "q") -> str:
            trace(number, kind, seen.get())
            seen.set(f"{number}{kind}")
            return q

        def on_thread(q: str = "q") -> str:
            trace(number, kind, seen.get())
            seen.set(f"{number}{kind}")
            return q

        return on_loop if kind == "a" else on_thread

    *before, last = order
    dependencies = [Depends(dependency(number, kind)) for number, kind in enumerate(before)]
    app.get("/", dependencies=dependencies)(dependency(99, last))
    pair = both(app)
    assert pair.get("/?q=x").json() == "x"
    assert pair.how == "compiled"
    assert lanes(pair) == expected


def test_async_calls_stay_on_the_loop_and_sync_ones_off_it(both: Both, trace: Trace) -> None:
    app = FastAPI()

    async def a() -> int:
        return threading.get_ident()

    def s() -> int:
        return threading.get_ident()

    @app.get("/")
    async def read(one: int = Depends(a), two: int = Depends(s), three: int = Depends(a, use_cache=False)):
        here = threading.get_ident()
        return [one == here, two == here, three == here]

    assert both(app).get("/").json() == [True, False, True]


class Callable_:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, q: int) -> int:
        return q * self.factor


class AsyncCallable(Callable_):
    async def __call__(self, q: int) -> int:
        return q * self.factor


class Page:
    def __init__(self, limit: int = 10, offset: int = 0) -> None:
        self.limit, self.offset = limit, offset


def test_classes_callable_objects_and_partials_are_dependencies(both: Both) -> None:
    app = FastAPI()

    def scaled(q: int, *, factor: int) -> int:
        return q * factor

    @app.get("/")
    async def read(
        page: Annotated[Page, Depends()],
        one: int = Depends(Callable_(2)),
        two: int = Depends(AsyncCallable(3)),
        three: int = Depends(functools.partial(scaled, factor=4)),
    ):
        return [page.limit, page.offset, one, two, three]

    pair = both(app)
    assert pair.get("/?q=5&limit=3").json() == [3, 0, 10, 15, 20]
    assert pair.how == "compiled"


def test_security_schemes_and_scopes(both: Both) -> None:
    app = FastAPI()
    key = APIKeyHeader(name="X-Key")

    async def user(scopes: SecurityScopes, key: str = Security(key, scopes=["base"])):
        return [key, *scopes.scopes]

    @app.get("/")
    async def read(
        user: Any = Security(user, scopes=["read", "write"]), token: Any = Depends(HTTPBearer(auto_error=False))
    ):
        return [user, token]

    pair = both(app)
    pair.get("/")
    assert pair.how == "compiled"  # the scheme itself refuses: no parameter is missing
    assert pair.get("/", {"X-Key": "k"}).json()[0][0] == "k"
    pair.get("/", {"X-Key": "k", "Authorization": "Bearer t"})
    pair.get("/", {"Authorization": "Basic t"})


def test_request_response_and_background_tasks(both: Both, trace: Trace) -> None:
    app = FastAPI()

    def note(response: Response, tasks: BackgroundTasks) -> None:
        response.headers["x-note"] = "1"
        tasks.add_task(trace, "task of the dependency")

    @app.get("/{name}", dependencies=[Depends(note)])
    def read(name: str, request: Request, response: Response, tasks: BackgroundTasks, status: int = 0):
        response.set_cookie("c", "v")
        response.status_code = status or None
        if status == 204:
            response.status_code = 204
        tasks.add_task(trace, "task")
        return {"path": request.path_params, "url": str(request.url), "route": request.scope["route"].path}

    pair = both(app)
    reply = pair.get("/x%20y?status=201")
    assert pair.how == "compiled"
    assert reply.status == 201
    assert reply.header("x-note") == "1"
    assert pair.get("/a").status == 200
    assert pair.get("/a?status=204").body == b""


@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_what_is_put_on_fastapis_exit_stacks_is_closed_when_fastapi_closes_it(
    both: Both, trace: Trace, path: str
) -> None:
    app = FastAPI()

    def use(request: Request, fail: bool) -> dict[str, bool]:
        for name in ("fastapi_function_astack", "fastapi_inner_astack", "fastapi_middleware_astack"):
            stack = request.scope.get(name)
            if stack is not None:
                stack.callback(trace, "closed", name)
        trace("used")
        if fail:
            raise LookupError("asked for")
        return {"used": True}

    @app.exception_handler(LookupError)
    async def handler(request: Request, exc: LookupError):
        trace("handled")
        return Response("handled", 418)

    @app.get("/async")
    async def on_loop(request: Request, fail: bool = False):
        return use(request, fail)

    @app.get("/sync")
    def on_thread(request: Request, fail: bool = False):
        return use(request, fail)

    pair = both(app)
    assert pair.get(path).json() == {"used": True}
    assert pair.get(f"{path}?fail=true").status == 418
    assert pair.how == "compiled"


class Item(BaseModel):
    name: str


def counts(**values: int) -> int:
    return len(values)


async def form_like(request: Request) -> str:
    return (await request.body()).decode()


def test_what_has_no_plan_says_why(both: Both) -> None:
    app = FastAPI()
    kind = inspect.Parameter.KEYWORD_ONLY
    names = [inspect.Parameter(f"p{n}", kind, default=0, annotation=int) for n in range(257)]
    vars(counts)["__signature__"] = inspect.Signature(names)
    app.get("/counts")(counts)
    pair = both(app)
    assert pair.outcome("/counts") == "fallback: more than 256 parameters"
    assert pair.get("/counts").json() == 257
    assert pair.how == "fallback"


def test_a_request_parameter_reads_the_body_by_itself(both: Both) -> None:
    app = FastAPI()

    @app.post("/own")
    async def own(request: Request):
        return (await request.body()).decode()

    @app.post("/dependency")
    def dependency(text: str = Depends(form_like)):
        return text

    @app.post("/both")
    async def together(item: Item, request: Request):
        return [item.name, (await request.body()).decode(), await request.json()]

    pair = both(app)
    assert pair.post("/own", body=b"abc").json() == "abc"
    assert pair.how == "compiled"
    assert pair.post("/dependency", body=b"abc").json() == "abc"
    assert pair.how == "compiled"
    assert pair.post("/both", json={"name": "n"}).json() == ["n", '{"name": "n"}', {"name": "n"}]
    assert pair.how == "compiled"


@pytest.mark.skipif(version(fastapi.__version__) < (0, 123), reason="older releases do not look through wrappers")
def test_a_wrapper_that_only_gives_an_awaitable_is_awaited(both: Both) -> None:
    app = FastAPI()

    async def inner(q: int = 1) -> int:
        return q

    @functools.wraps(inner)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    app.get("/")(outer)
    assert both(app).get("/?q=2").json() == 2


def test_overrides_take_the_place_of_dependencies(both: Both, trace: Trace) -> None:
    app = FastAPI()

    def original(q: int = 1) -> str:
        return f"original {q}"

    async def other(name: str = "x") -> str:
        return f"other {name}"

    @app.get("/")
    def read(one: str = Depends(original), two: str = Depends(original)):
        return [one, two]

    pair = both(app)
    assert pair.get("/?q=2").json() == ["original 2", "original 2"]
    app.dependency_overrides[original] = other
    assert pair.get("/?name=y").json() == ["other y", "other y"]
    assert pair.how == "compiled"
    app.dependency_overrides = {}
    assert pair.get("/?q=3").json() == ["original 3", "original 3"]
    assert pair.how == "compiled"


def test_the_generated_text_is_shown_in_tracebacks() -> None:
    import linecache

    app = FastAPI(openapi_url=None)

    @app.post("/items")
    async def create(item: Item) -> Item:
        return item

    (plan,) = compile_app(app).plans
    code = plan.stages[0].call.__code__
    assert "POST /items" in code.co_filename
    assert linecache.getline(code.co_filename, 1).startswith("def entry(")


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_what_an_async_dependency_sets_is_seen_by_all_that_follows(both: Both, trace: Trace, kind: str) -> None:
    app = FastAPI()

    async def dependency(to: str = "request") -> None:
        seen.set(to)

    def background() -> None:
        trace("background", seen.get())

    async def chunks():
        trace("chunk", seen.get())
        yield b"x"

    def answer(tasks: BackgroundTasks, fail: bool) -> Any:
        trace("endpoint", seen.get())
        seen.set("endpoint")
        if fail:
            raise LookupError
        tasks.add_task(background)
        return StreamingResponse(chunks())

    @app.exception_handler(LookupError)
    async def handler(request: Request, exc: LookupError):
        trace("handler", seen.get())
        return Response("handled")

    async def on_loop(tasks: BackgroundTasks, fail: bool = False):
        return answer(tasks, fail)

    def on_thread(tasks: BackgroundTasks, fail: bool = False):
        return answer(tasks, fail)

    app.get("/", dependencies=[Depends(dependency)])(on_loop if kind == "async" else on_thread)
    pair = both(app)
    assert pair.get("/?to=here").body == b"x"
    assert pair.how == "compiled"
    assert pair.get("/?to=there&fail=true").text == "handled"


def test_more_parameters_than_the_engine_takes(both: Both) -> None:
    text = f"async def read({', '.join(f'p{number}: int = {number}' for number in range(257))}):\n    return p256\n"
    scope: dict[str, Any] = {}
    exec(text, scope)
    app = FastAPI()
    app.get("/")(scope["read"])
    pair = both(app)
    assert pair.outcome("/") == "fallback: more than 256 parameters"
    assert pair.get("/?p256=1").json() == 1
