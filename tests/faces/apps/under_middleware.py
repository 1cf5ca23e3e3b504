"""The applications of other subjects once more, under middleware: each with another stack of it.

What routes do after their answer, and what they raise then, meets the middleware here: its code after `call_next`,
its own exceptions, and its sends.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware

from ..case import CASES, case
from ..trace import Trace
from . import (
    after,
    background,
    errors_late,
    forms,
    forms_files,
    results_files,
    results_generated,
    results_streamed,
    streams,
    yields,
)

SUBJECTS = (
    after,
    background,
    errors_late,
    forms,
    forms_files,
    results_files,
    results_generated,
    results_streamed,
    streams,
    yields,
)


class Pure:
    """A plain ASGI middleware that notes what comes by, and adds a header."""

    def __init__(self, app: Any, trace: Trace) -> None:
        self.app = app
        self.trace = trace

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.trace("starts", message["status"])
                message = {**message, "headers": [*message["headers"], (b"x-pure", b"1")]}
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except BaseException as error:
            self.trace("pure hears", type(error).__name__)
            raise
        self.trace("pure ends")


class Noting(BaseHTTPMiddleware):
    """A subclass that notes what it sees, and adds a header."""

    def __init__(self, app: Any, trace: Trace, name: str) -> None:
        super().__init__(app)
        self.trace = trace
        self.name = name

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        try:
            response = await call_next(request)
        except Exception as error:
            self.trace(self.name, "hears", type(error).__name__)
            raise
        self.trace(self.name, response.status_code)
        response.headers["X-By"] = self.name
        return response


class Reading(BaseHTTPMiddleware):
    """A subclass that reads the body and gives a response of its own with it."""

    def __init__(self, app: Any, trace: Trace) -> None:
        super().__init__(app)
        self.trace = trace

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        parts = response.body_iterator

        async def noted() -> Any:
            async for part in parts:
                if isinstance(part, dict):
                    self.trace("path")
                else:
                    self.trace("part", len(part) > 0)
                yield part
            self.trace("all parts")

        response.body_iterator = noted()
        return response


def one(app: FastAPI, trace: Trace) -> None:
    app.add_middleware(Noting, trace=trace, name="one")


def two(app: FastAPI, trace: Trace) -> None:
    app.add_middleware(Noting, trace=trace, name="inner")
    app.add_middleware(Noting, trace=trace, name="outer")


def pure(app: FastAPI, trace: Trace) -> None:
    app.add_middleware(Pure, trace=trace)


def reading(app: FastAPI, trace: Trace) -> None:
    app.add_middleware(Reading, trace=trace)


def pure_in_dispatch(app: FastAPI, trace: Trace) -> None:
    app.add_middleware(Pure, trace=trace)
    app.add_middleware(Noting, trace=trace, name="outer")


def dispatch_in_pure(app: FastAPI, trace: Trace) -> None:
    app.add_middleware(Noting, trace=trace, name="inner")
    app.add_middleware(Pure, trace=trace)


def natives(app: FastAPI, trace: Trace) -> None:
    app.add_middleware(SessionMiddleware, secret_key="secret")
    app.add_middleware(GZipMiddleware, minimum_size=100)
    app.add_middleware(CORSMiddleware, allow_origins=["https://a.test"])


def natives_around_dispatch(app: FastAPI, trace: Trace) -> None:
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    app.add_middleware(Noting, trace=trace, name="between")
    app.add_middleware(SessionMiddleware, secret_key="secret")


def natives_in_dispatch(app: FastAPI, trace: Trace) -> None:
    app.add_middleware(SessionMiddleware, secret_key="secret")
    app.add_middleware(GZipMiddleware, minimum_size=100)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    app.add_middleware(Noting, trace=trace, name="outer")


STACKS: tuple[Callable[[FastAPI, Trace], None], ...] = (
    one,
    two,
    pure,
    reading,
    pure_in_dispatch,
    dispatch_in_pure,
    natives,
    natives_around_dispatch,
    natives_in_dispatch,
)


def or_500(step: Any) -> Any:
    """A step that may fail, too."""
    if not isinstance(step, tuple):
        return step
    wanted, asked = step
    return ({500, *wanted} if isinstance(wanted, set) else {500, wanted}), asked


def put(name: str, stack: Callable[[FastAPI, Trace], None]) -> None:
    """Enter one case of the table again, with a stack of middleware."""
    given = CASES[name]

    def factory(trace: Trace) -> Any:
        app = given.factory(trace)
        stack(app, trace)
        return app

    factory.__name__ = f"{stack.__name__}.{given.subject}.{given.name}"
    factory.__module__ = __name__
    # GZipMiddleware holds the head back until there is a body: what fails before that is a 500 then.
    steps = [or_500(step) for step in given.steps]
    case(steps, fallback=given.fallback, since=given.since, mask=given.mask, wild=False)(factory)


# A response of server-sent events is made by several tasks: which is ahead of the middleware is nobody's promise.
# A page of debugging shows the calls that led to it. An application with a limit of bodies is its own under middleware.
LEFT_OUT = ("streams.server_sent_events", "errors_late.debug_page", "forms.form_body_size")

# With more of them at hand, each application can be put under each stack.
EACH = os.environ.get("FACES_EACH_STACK") is not None

subjects = {each.__name__.rpartition(".")[2] for each in SUBJECTS}
names = [name for name in CASES if name.partition(".")[0] in subjects and name not in LEFT_OUT]
for name, stack in itertools.product(names, STACKS) if EACH else zip(names, itertools.cycle(STACKS), strict=False):
    put(name, stack)
