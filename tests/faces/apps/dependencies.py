"""Dependencies: order, caching, nesting, classes, overrides, context."""

import contextvars
from typing import Annotated

from fastapi import APIRouter, Body, Cookie, Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel

from ..case import Settled, case
from ..request import get, post
from ..trace import Trace, where
from .show import seen


@case(
    [
        (200, get("/?q=x&skip=2")),
        (422, get("/?skip=x")),
        (200, get("/")),
        (200, get("/sync?limit=5")),
        (200, get("/mixed?q=a")),
    ]
)
def dependency_functions(trace: Trace) -> FastAPI:
    app = FastAPI()

    async def common(q: str | None = None, skip: int = 0, limit: int = 100):
        trace("common", where())
        return {"q": q, "skip": skip, "limit": limit}

    def common_sync(q: str | None = None, limit: int = 10):
        trace("common_sync", where())
        return seen(q=q, limit=limit)

    @app.get("/")
    async def read(commons: Annotated[dict, Depends(common)]):
        trace("read", where())
        return commons

    @app.get("/sync")
    def sync(commons: Annotated[dict, Depends(common_sync)]):
        trace("sync", where())
        return commons

    @app.get("/mixed")
    async def mixed(one: Annotated[dict, Depends(common_sync)], two: dict = Depends(common)):
        trace("mixed", where())
        return [one, two]

    return app


@case(
    [
        (200, get("/?n=1")),
        (422, get("/?n=x")),
        (200, get("/uncached?n=2")),
        (422, get("/uncached")),
        (200, get("/diamond?n=3")),
    ],
    steady=False,
)
def dependency_cache(trace: Trace) -> FastAPI:
    app = FastAPI()
    count = 0

    def base(n: int):
        nonlocal count
        count += 1
        trace("base", n)
        return count

    async def left(b: Annotated[int, Depends(base)]):
        trace("left", b)
        return f"left {b}"

    def right(b: Annotated[int, Depends(base)], fresh: Annotated[int, Depends(base, use_cache=False)]):
        trace("right", b, fresh)
        return f"right {b} {fresh}"

    @app.get("/")
    async def read(one: Annotated[int, Depends(base)], two: Annotated[int, Depends(base)]):
        return [one, two]

    @app.get("/uncached")
    async def uncached(
        one: Annotated[int, Depends(base, use_cache=False)], two: Annotated[int, Depends(base, use_cache=False)]
    ):
        return [one, two]

    @app.get("/diamond")
    def diamond(
        one: Annotated[str, Depends(left)], two: Annotated[str, Depends(right)], three: Annotated[int, Depends(base)]
    ):
        return [one, two, three]

    return app


@case([(200, get("/?a=1&b=2&c=3")), (422, get("/")), (422, get("/?a=x&b=2&c=y")), (422, get("/?a=1&b=x"))])
def dependency_nesting_and_errors(trace: Trace) -> FastAPI:
    """Errors of every level come together, and a dependency whose own part is in order still runs."""
    app = FastAPI()

    def inner(a: int):
        trace("inner", a)
        return a

    async def middle(b: int, inner: Annotated[int, Depends(inner)]):
        trace("middle", b, inner)
        return b + inner

    def aside():
        trace("aside")

    @app.get("/", dependencies=[Depends(aside)])
    async def read(c: int, middle: Annotated[int, Depends(middle)], d: Annotated[int, Header()] = 4):
        trace("read", c)
        return {"c": c, "middle": middle, "d": d}

    return app


@case(
    [
        (200, get("/?size=3&q=ab")),
        (422, get("/?size=x")),
        (200, get("/instance?q=abcdef")),
        (200, get("/method")),
        (200, get("/shortcut?size=2")),
    ]
)
def dependency_classes(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Page:
        def __init__(self, size: int = 10, q: str | None = None) -> None:
            trace("Page", size, where())
            self.size, self.q = size, q

    class Checker:
        def __init__(self, fixed: str) -> None:
            self.fixed = fixed

        def __call__(self, q: str = "") -> bool:
            trace("Checker", q, where())
            return self.fixed in q

        async def method(self, q: str = "m") -> str:
            trace("method", q, where())
            return self.fixed + q

    checker = Checker("bc")

    class AsyncChecker:
        async def __call__(self, q: str = "") -> str:
            trace("AsyncChecker", where())
            return q.upper()

    @app.get("/")
    async def read(page: Annotated[Page, Depends(Page)]):
        return {"size": page.size, "q": page.q}

    @app.get("/instance")
    async def instance(found: Annotated[bool, Depends(checker)], upper: Annotated[str, Depends(AsyncChecker())]):
        return {"found": found, "upper": upper}

    @app.get("/method")
    def method(text: Annotated[str, Depends(checker.method)]):
        return text

    @app.get("/shortcut")
    async def shortcut(page: Annotated[Page, Depends()]):
        return page.size

    return app


@case(
    [
        (200, get("/a/x?token=t")),
        (422, get("/a/x")),
        (418, get("/a/x?token=bad")),
        (418, get("/a/missing?token=bad")),
        (404, get("/b/missing?token=t")),
        (200, get("/b?token=t")),
    ]
)
def dependency_places(trace: Trace) -> FastAPI:
    """Dependencies of application, router, inclusion and route run in that order."""

    def note(name: str):
        async def dependency():
            trace(name)

        return Depends(dependency)

    def check(token: str):
        trace("check", token)
        if token == "bad":
            raise HTTPException(418, "teapot", {"X-Why": "token"})

    app = FastAPI(dependencies=[note("app"), Depends(check)])
    inner = APIRouter(prefix="/a", dependencies=[note("inner router")])

    @inner.get("/{name}", dependencies=[note("route 1"), note("route 2")])
    async def read(name: str, own: Annotated[None, note("own")]):
        trace("read")
        return name

    outer = APIRouter(dependencies=[note("outer router")])
    outer.include_router(inner, dependencies=[note("inclusion of inner")])
    app.include_router(outer, dependencies=[note("inclusion of outer")])

    @app.get("/b")
    def plain():
        trace("plain")

    return app


@case(
    [
        (200, get("/")),
        (lambda app: app.dependency_overrides.update({app.state.original: app.state.replacement})),
        (422, get("/")),
        (200, get("/?q=z")),
        Settled(200, get("/?q=z")),
        (422, get("/")),
        (200, get("/nested?q=z")),
        (lambda app: app.dependency_overrides.clear()),
        (200, get("/")),
        (200, get("/nested")),
        (lambda app: app.dependency_overrides.__setitem__(app.state.original, lambda: "a lambda")),
        (200, get("/")),
        (200, get("/nested")),
        (lambda app: setattr(app, "dependency_overrides", {})),
        (200, get("/")),
        Settled(200, get("/")),
        (200, get("/nested")),
    ],
    steady=False,
)
def dependency_overrides(trace: Trace) -> FastAPI:
    app = FastAPI()

    async def original():
        trace("original")
        return "original"

    async def replacement(q: str):
        trace("replacement", q)
        return f"replacement {q}"

    def outer(inner: Annotated[str, Depends(original)]):
        return f"outer {inner}"

    app.state.original, app.state.replacement = original, replacement

    @app.get("/")
    async def read(value: Annotated[str, Depends(original)]):
        return value

    @app.get("/nested")
    def nested(value: Annotated[str, Depends(outer)]):
        return value

    return app


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@case([(200, get("/async")), (200, get("/sync")), (200, get("/handler")), (200, get("/async"))])
def dependency_context(trace: Trace) -> FastAPI:
    """A variable set in an async dependency is seen later; one set in a sync dependency is not."""
    app = FastAPI()

    async def set_async():
        variable.set("async")

    def set_sync():
        variable.set("sync")
        return variable.get()

    def read_sync():
        return variable.get()

    @app.get("/async", dependencies=[Depends(set_async)])
    async def after_async(seen_by_sync: Annotated[str, Depends(read_sync)]):
        return [variable.get(), seen_by_sync]

    @app.get("/sync", dependencies=[Depends(set_sync)])
    async def after_sync(seen_by_sync: Annotated[str, Depends(read_sync)]):
        return [variable.get(), seen_by_sync]

    @app.get("/handler")
    def handler(value: Annotated[str, Depends(set_sync)]):
        before = variable.get()
        variable.set("handler")
        return [value, before]

    return app


@case(
    [
        (200, post("/?q=1", {"X-H": "h", "Cookie": "c=k"}, json={"name": "n"})),
        (422, post("/", json={})),
        (422, post("/?q=x", {"X-H": "h"}, body=b"{", chunks=[1])),
        (200, post("/two", json={"item": {"name": "a"}, "other": 5})),
        (422, post("/two", json={"item": {"name": 1}})),
    ]
)
def dependency_with_everything(trace: Trace) -> FastAPI:
    app = FastAPI()

    class Item(BaseModel):
        name: str

    async def everything(
        request: Request,
        response: Response,
        q: int,
        item: Item,
        x_h: Annotated[str, Header()],
        c: Annotated[str | None, Cookie()] = None,
    ):
        trace("everything", q)
        response.headers["X-Dependency"] = ascii(item.name)
        response.set_cookie("seen", "1")
        request.state.user = "me"
        return {"q": q, "item": item, "x_h": x_h, "c": c, "path": request.url.path}

    @app.post("/")
    async def read(all_of_it: Annotated[dict, Depends(everything)], request: Request, response: Response):
        response.headers["X-Handler"] = request.state.user
        return all_of_it

    def with_body(item: Item):
        return item.name

    @app.post("/two")
    def two(name: Annotated[str, Depends(with_body)], other: Annotated[int, Body()]):
        return [name, other]

    return app
