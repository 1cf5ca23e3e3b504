"""The engine's part of a compiled route, in plain Python and by the letter of docs/internals/contracts.md.

It routes, extracts canonical values, runs a plan's stages on their lanes and sends what comes out, so that the
compiler can be tested on every FastAPI release without building anything.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import dataclasses
import functools
import json
import re
import threading
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_to_bytes

from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.routing import compile_path

from tests.faces.oracle import Cycle, Oracle, Peer
from tests.faces.reply import Reply
from tests.faces.request import Request
from turboapi.plan import CompiledApp, HotPlan, compile_app
from turboapi.plan.background import only_sync, run_tasks_here
from turboapi.plan.decline import Decline, decline_type

INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
FLOAT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
BOOLS = {"true": True, "false": False, "1": True, "0": False}
ODD = object()
ABSENT = object()


class Simulated(Oracle):
    """An application run from its plans. `how` is what became of the last request: compiled, declined, fallback..."""

    def __init__(self, app: Any, server: Peer) -> None:
        super().__init__(app, server)
        self.how = ""
        self.made: CompiledApp | None = None
        self._threads = concurrent.futures.ThreadPoolExecutor(4)
        self._seen: list[Any] = []

    async def startup(self) -> None:
        await super().startup()
        self.compile()

    async def shutdown(self) -> None:
        await super().shutdown()
        self._threads.shutdown()

    def compile(self) -> None:
        self.made = compile_app(self.app)
        self._table = json.loads(self.made.table)
        self._patterns = [
            None
            if "path" not in route
            else compile_path(route["path"] + ("/{path:path}" if route.get("mount") else ""))[0]
            for route in self._table["routes"]
        ]
        self._seen = list(snapshot(self.made))

    def changed(self) -> bool:
        """Whether something that the plans were made from has changed."""
        assert self.made is not None
        now = list(snapshot(self.made))
        return len(now) != len(self._seen) or any(one is not two for one, two in zip(now, self._seen, strict=True))

    async def _run(self, cycle: Cycle, scope: dict[str, Any]) -> None:
        assert self.made is not None
        if self.changed():
            self.compile()
        proxy = Proxy(cycle, scope)
        kind, found = self._route(scope)
        if kind == "static" and not (self.made.cors is not None and proxy.header(b"origin") is not None):
            self.how = "static"
            await self._send(proxy, found["status"], text_pairs(found["fields"]), found["body"].encode())
            cycle.returned()
            return
        if kind == "plan" and not self._preflight(scope, proxy):
            await self._plan(cycle, proxy, *found)
            return
        self.how = "fallback"
        await super()._run(cycle, scope)

    def _preflight(self, scope: dict[str, Any], proxy: Proxy) -> bool:
        assert self.made is not None
        asked = proxy.header(b"access-control-request-method") is not None and proxy.header(b"origin") is not None
        return self.made.cors is not None and scope["method"] == "OPTIONS" and asked

    # Routing and extraction: Go's part

    def _route(self, scope: dict[str, Any]) -> tuple[str, Any]:
        path = scope["path"]
        root = self._table["root_path"]
        if root and (path == root or path.startswith(root + "/")):
            path = path[len(root) :]
        partial = None
        for route, pattern in zip(self._table["routes"], self._patterns, strict=True):
            if pattern is None:
                return "app", None
            match = pattern.match(path)
            if not match:
                continue
            if route["methods"] is None if "methods" in route else True:
                return ("app", None) if route["plan"] < 0 else ("plan", (route, match))
            if scope["method"] in route["methods"]:
                return ("app", None) if route["plan"] < 0 else ("plan", (route, match))
            partial = partial or route
        if partial is not None:
            return ("static", partial["partial"]) if partial["partial"] else ("app", None)
        other = path.rstrip("/") if path.endswith("/") else path + "/"
        if self._table["redirect_slashes"] and path != "/" and any(p and p.match(other) for p in self._patterns):
            return "app", None
        return ("static", self._table["not_found"]) if self._table["not_found"] else ("app", None)

    def _values(self, plan: dict[str, Any], scope: dict[str, Any], match: Any, proxy: Proxy) -> list[Any] | None:
        if plan["body"] in ("json", "json?"):
            given = proxy.header(b"content-type")
            kind = (given or b"").partition(b";")[0].strip().lower()
            named = kind.startswith(b"application/") and kind.endswith(b"+json") and kind.count(b"/") == 1
            if not (named or kind == b"application/json" or (given is None and plan["body"] == "json?")):
                return None
            if not proxy.body():
                return None
        length = proxy.header(b"content-length")
        if plan["max_body"] is not None and (
            len(proxy.body()) > plan["max_body"] or int(length or 0) > plan["max_body"]
        ):
            return None
        values = []
        for param in plan["params"]:
            value = extract(param, scope, match)
            if value is ODD or (value is ABSENT and param["required"]):
                return None
            values.append(value)
        return values

    # Stages: C's part

    async def _plan(self, cycle: Cycle, proxy: Proxy, route: dict[str, Any], match: Any) -> None:
        assert self.made is not None
        wire = self._table["plans"][route["plan"]]
        plan = self.made.plans[route["plan"]]
        values = self._values(wire, proxy.original, match, proxy)
        if values is None:
            self.how = "odd"
            await super()._run(cycle, proxy.original)
            return
        self.how = "compiled"
        proxy.plan = plan
        proxy.threads = self._threads
        proxy.cors = functools.partial(self._cors, proxy)
        self._context = contextvars.copy_context()
        try:
            try:
                await self._stages(plan, values, proxy)
            except (Decline, decline_type()):
                self.how = "declined"
                await super()._run(cycle, proxy.original)
            except Exception as exc:
                answer = None if proxy.sent else self._context.run(self.made.errors.quick, proxy, exc)
                if answer is None:
                    answer = await self._task(self.made.errors.handle(proxy, exc))
                if answer is not None:
                    await self._respond(plan, answer, proxy)
        except (Exception, asyncio.CancelledError):
            self.errors.append(traceback.format_exc())
        finally:
            cycle.returned()

    async def _stages(self, plan: HotPlan, values: list[Any], proxy: Proxy) -> None:
        positional, keywords = [], {}
        for arg in plan.args:
            value = arg.default
            if arg.source == "slot":
                value = arg.default if values[arg.index] is ABSENT else values[arg.index]
            elif arg.source == "proxy":
                value = proxy
            elif arg.source == "body":
                value = proxy.body()
            if arg.name is None:
                positional.append(value)
            else:
                keywords[arg.name] = value
        result: Any = None
        for number, stage in enumerate(plan.stages):
            arguments = (positional, keywords) if number == 0 else ([result], {})
            last = number == len(plan.stages) - 1
            proxy.last = last
            if stage.lane == "call":
                assert not stage.coroutine
                result = await self._on_thread(self._call, plan, stage.call, arguments, last, proxy)
            elif stage.coroutine:
                self._context = contextvars.copy_context()
                result = await self._task(stage.call(*arguments[0], **arguments[1]))
                result = encoded(plan, result) if last and not proxy.sent else result
            else:
                result = self._call(plan, stage.call, arguments, last, proxy)
        if not proxy.sent:
            await self._respond(plan, result, proxy)
        elif proxy.left is not None:
            assert await self._on_thread(run_tasks_here, proxy.left, self._context) is None
        elif result is not None and result is not proxy:
            await self._task(self._app(result, proxy, proxy.send))

    def _call(self, plan: HotPlan, call: Any, arguments: Any, last: bool, proxy: Proxy) -> Any:
        result = call(*arguments[0], **arguments[1])
        return encoded(plan, result) if last and not proxy.sent else result

    async def _on_thread(self, call: Any, *args: Any) -> Any:
        context = self._context.copy()
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: context.run(call, *args))

    async def _respond(self, plan: HotPlan, answer: Any, proxy: Proxy) -> None:
        if isinstance(answer, bytes):
            headers = [(b"content-length", b"%d" % len(answer)), (b"content-type", plan.media)]
            await self._send(proxy, plan.status, headers, answer)
            return
        assert isinstance(answer, Response), answer
        if type(answer).__call__ is Response.__call__ and answer.background is None:
            bare = hasattr(answer, "_turbo_outermost")
            await self._send(proxy, answer.status_code, answer.raw_headers, bytes(answer.body), cors=not bare)
            return

        proxy.wraps = True
        await self._task(self._app(answer, proxy, proxy.send))

    def _task(self, coroutine: Any) -> asyncio.Task[Any]:
        """A task in the exchange's own context: that of its last task, so that all see what it has set."""
        return asyncio.create_task(coroutine, context=self._context)

    async def _app(self, answer: Any, proxy: Proxy, send: Any) -> None:
        await answer(proxy.original, proxy.receive, send)

    def _cors(self, proxy: Proxy, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        assert self.made is not None
        cors = self.made.cors
        origin = proxy.header(b"origin")
        if cors is None or (origin is None and not cors.always):
            return headers
        text = None if origin is None else origin.decode("latin-1")
        return cors(text, headers, proxy.header(b"cookie") is not None)

    async def _send(self, proxy: Proxy, status: int, headers: Any, body: bytes, *, cors: bool = True) -> None:
        if cors and self.how != "static":
            headers = self._cors(proxy, list(headers))
        await proxy.send({"type": "http.response.start", "status": status, "headers": headers})
        await proxy.send({"type": "http.response.body", "body": body})


class Proxy:
    """What `_hot.Exchange` is to Python."""

    def __init__(self, cycle: Cycle, scope: dict[str, Any]) -> None:
        self.original = scope
        self.request: Any = None
        self.started = False
        self.sent = False
        self.wraps = False
        self.plan: Any = None
        self.threads: Any = None
        self.cors: Any = None
        self.last = False
        self.left: Any = None
        self._cycle = cycle
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self.receive = cycle.receive

    async def send(self, message: Any) -> None:
        self.started = True
        if self.wraps and message["type"] == "http.response.start":
            message = {**message, "headers": self.cors(list(message.get("headers", ())))}
        await self._cycle.send(message)

    def make(self, result: Any) -> Any:
        assert not self.started
        return encoded(self.plan, result)

    def answer(self, made: Any) -> bool:
        assert self.last
        assert not self.started
        self.wraps = True
        if isinstance(made, bytes):
            head = [(b"content-length", b"%d" % len(made)), (b"content-type", self.plan.media)]
            made = Raw(self.plan.status, head, made)
        elif type(made).__call__ is not Response.__call__:
            return False
        sending = self._answer(made)
        if threading.get_ident() == self._loop_thread:
            drive(sending)
        else:
            asyncio.run_coroutine_threadsafe(sending, self._loop).result(10)
        self.sent = True
        return True

    def run(self, call: Any, /, *args: Any, **kwargs: Any) -> Any:
        context = contextvars.copy_context()
        work = functools.partial(context.run, functools.partial(call, *args, **kwargs))
        return self._loop.run_in_executor(self.threads, work)

    run_beyond = run

    def leave_to_thread(self, tasks: Any) -> Any:
        assert self.sent
        assert only_sync(tasks)
        self.left = tasks
        return self

    async def sending(self, response: Any) -> None:
        self.sent = True
        await response(self.original, self.receive, self.send)

    async def _answer(self, made: Any) -> None:
        await self.send({"type": "http.response.start", "status": made.status_code, "headers": made.raw_headers})
        await self.send({"type": "http.response.body", "body": bytes(made.body)})

    def scope(self) -> dict[str, Any]:
        return dict(self.original)

    def failed(self, exc: BaseException) -> bool:
        return False

    def body(self) -> bytes:
        return self._cycle._asked.body

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.original["headers"] if key == name), None)


@dataclasses.dataclass
class Raw:
    """Bytes that a plan has made, as a response."""

    status_code: int
    raw_headers: list[tuple[bytes, bytes]]
    body: bytes


def drive(sending: Any) -> None:
    """Run a coroutine that awaits nothing."""
    try:
        sending.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def encoded(plan: HotPlan, result: Any) -> Any:
    return result if isinstance(result, Response) else plan.encode(result)


def text_pairs(fields: list[list[str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]


def snapshot(made: CompiledApp) -> Iterator[Any]:
    """All that a plan depends on, in the order of the watch."""
    for items in made.watch.lists:
        yield from items
        yield Ellipsis
    for mapping in made.watch.dicts:
        for key, value in mapping.items():
            yield key
            yield value
        yield Ellipsis
    for owner, name in made.watch.attrs:
        found = getattr(owner, name, Ellipsis)
        # Bound methods are made anew by each access.
        yield getattr(found, "__func__", found)


def extract(param: dict[str, Any], scope: dict[str, Any], match: Any) -> Any:
    """One parameter's value; ODD where it is not canonical, ABSENT where it was not sent."""
    name, form = param["name"], param["form"]
    if param["in"] == "path":
        values = [unquote(match.group(name))] if False else [match.group(name)]
    elif param["in"] == "query":
        values = query(scope["query_string"], name)
    elif param["in"] == "header":
        values = [value.decode("latin-1") for key, value in scope["headers"] if key == name.encode("latin-1")]
    else:
        cookies: dict[str, str] = {}
        for key, value in scope["headers"]:
            if key == b"cookie":
                cookies.update(cookie_parser(value.decode("latin-1")))
        values = [cookies[name]] if name in cookies else []
    if any(value is ODD for value in values):
        return ODD
    if not values:
        return ABSENT
    if form == "strs":
        return values
    if form == "odd_if_present":
        return ODD
    value = values[0] if param["in"] == "header" else values[-1]
    return canonical(value, form)


def query(text: bytes, name: str) -> list[Any]:
    values = []
    for part in text.split(b"&"):
        key, _, value = part.replace(b"+", b" ").partition(b"=")
        if part and unquote_to_bytes(key) == name.encode():
            try:
                values.append(unquote_to_bytes(value).decode())
            except UnicodeDecodeError:
                values.append(ODD)
    expected = [v for k, v in parse_qsl(text.decode("latin-1"), keep_blank_values=True) if k == name]
    assert ODD in values or values == expected
    return values


def canonical(value: str, form: str) -> Any:
    if form == "int":
        return int(value) if INT.fullmatch(value) else ODD
    if form == "float":
        digits = sum(char.isdigit() for char in value)
        return float(value) if FLOAT.fullmatch(value) and digits <= 15 else ODD
    if form == "bool":
        return BOOLS.get(value, ODD)
    return ODD if "\ufffd" in value else value


class SimulatedFace:
    """`Simulated` where the harness of tests/faces expects a served face."""

    def __init__(self, app: Any, loop: Any) -> None:
        self.app = app
        self._loop = loop
        self.oracle = Simulated(app, ("127.0.0.1", 80))
        loop.run(self.oracle.startup())

    def ask(self, asked: Request, client: Peer) -> Reply:
        return self._loop.run(self.oracle.ask(asked, client))

    def close(self) -> None:
        self._loop.run(self.oracle.shutdown())
