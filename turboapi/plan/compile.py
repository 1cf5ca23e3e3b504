"""The plan compiler: a FastAPI application in, its plans, table and report out.

A route is compiled again only when what it was made from has changed, so that an
application which adds a route while it runs pays for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from starlette.responses import JSONResponse

from . import internals
from .cors import CorsHeaders
from .custom import build_custom
from .decline import decline_type
from .entry import Entry, build, call_name
from .errors import Errors
from .facts import Handler, RouteFacts, unbuilt
from .internals import Stack
from .memory import Kept, Key, Known, Memory, kept_of
from .mounts import ErrorsByApplication, MountedErrors
from .plans import CompiledApp, Fallback, HotPlan, MiddlewareReport, RouteReport, Watch
from .scope import Surroundings
from .sockets import build_socket
from .static import build_static
from .table import Statics, table
from .whole import next_version, whole_fallback

__all__ = ["compile_known"]

_BEHIND = Fallback("it stands behind a route that only the application can match")
_COVERED = Fallback("it is never reached: a mount at / stands before it")


def compile_known(app: Any) -> CompiledApp:
    """Compile an application of a FastAPI whose modules are where we know them; see `compile_app`."""
    kept = kept_of(app)
    stack = _stack(app, kept)
    lists: list[list[Any]] = []
    mounts: internals.Mounts = []
    if isinstance(stack, Fallback):
        return whole_fallback(app, stack.reason, _watch(app, None, []))
    try:
        facts = list(internals.routes(app, stack, lists, mounts, kept.stack))
    except Exception as error:
        reason = f"its routes cannot be read ({type(error).__name__}: {error})"
        return whole_fallback(app, reason, _watch(app, stack, lists))
    cors = CorsHeaders(stack.cors) if stack.cors is not None else None
    compiler = _Compiler(app, stack, cors, kept)
    watch = _with_mounts(_watch(app, stack, lists), mounts)
    tried = [compiler.entry(each) for each in facts]
    around, held = _state(app, stack, watch)
    state = (around, tuple(map(_state_of_route, facts, tried)))
    known = kept.made(state)
    if known is None:
        known = _made(app, stack, facts, tried, compiler, watch)
        kept.keep(state, (facts, tried, stack, held), known, compiler.memories())
    return known


def _made(
    app: Any, stack: Stack, facts: list[RouteFacts], tried: list[Entry | Fallback], compiler: _Compiler, watch: Watch
) -> CompiledApp:
    """Return the application with the routes that could be compiled."""
    cors = compiler.cors
    found: list[tuple[RouteFacts, Entry | None]] = []
    report: list[RouteReport] = []
    behind = deaf = covered = False  # behind, deaf: nothing more of requests, or of WebSockets, can be matched
    for each, made in zip(facts, tried, strict=True):
        socket = each.kind == "websocket"
        made = _BEHIND if (deaf if socket else behind) and (each.asgi is not None or isinstance(made, Entry)) else made
        behind = behind or each.kind == "barrier"
        deaf = behind or (deaf or (socket and bool(each.table_path)))
        if covered and each.mounted is None:
            made = _COVERED
        covered = covered or (each.kind == "mount" and not each.path)
        entry = made if isinstance(made, Entry) else None
        found.append((each, entry))
        outcome = f"fallback: {made.reason}" if isinstance(made, Fallback) else "compiled"
        if entry is not None or each.why or each.asgi is not None:
            report.append(_report(each, outcome))
    middleware = [MiddlewareReport(piece.name, piece.cost) for piece in stack.pieces]
    if cors is not None:
        middleware.append(MiddlewareReport("CORSMiddleware", "compiled"))
    if not stack.built:
        # The plans come with the application's first request, which makes its middleware.
        found = [(each, None) for each, _ in found]
    compiled = [(each, entry) for each, entry in found if entry is not None]
    requests = [(each, entry.body) for each, entry in compiled if each.kind not in ("websocket", "mount")]
    errors = compiler.errors(requests)
    plans = [entry.plan for _, entry in compiled]
    statics = Statics(app, stack, cors, hosts=any(each.kind == "host" for each in facts))
    leftovers: list[HotPlan] = []
    if stack.pieces:
        from .middleware.chain import Chain  # it brings all layers, and many applications have none

        if not isinstance(errors, Errors):
            raise TypeError("a mounted application is compiled under middleware")
        chain = Chain(stack, compiler.around, errors)
        plans = [
            entry.plan
            if each.kind == "websocket"
            else chain.files(entry.plan, each)
            if each.kind == "mount"
            else chain.wrap(entry.plan, each, body=entry.body, lasts=entry.lasts)
            for each, entry in compiled
        ]
        # What runs as it is around all the rest would gain nothing.
        if stack.built and stack.pieces[0].kind != "foreign":
            leftovers = chain.leftovers(call_name(app), statics.not_found(), all_known=statics.complete)
    version = next_version()
    text = table(
        version,
        found,
        None if stack.pieces else statics,
        leftovers=len(leftovers),
        cors=cors is not None,
        redirect_slashes=bool(app.router.redirect_slashes),
        root_path=app.root_path,
    )
    return CompiledApp(
        version=version,
        table=text,
        plans=(*plans, *leftovers),
        report=tuple(report),
        middleware=tuple(middleware),
        watch=watch,
        cors=cors,
        errors=errors,
    )


_KINDS: dict[str, Literal["http", "websocket", "mount", "host", "unknown"]] = {
    "api": "http",
    "route": "http",
    "loose": "http",
    "websocket": "websocket",
    "mount": "mount",
    "host": "host",
    "barrier": "unknown",
}


def _report(facts: RouteFacts, outcome: str) -> RouteReport:
    methods = ("WEBSOCKET",) if facts.kind == "websocket" else facts.methods
    target = getattr(facts.route, "endpoint", None) or getattr(facts.route, "app", None)
    named = "" if target is None else call_name(target)
    return RouteReport(facts.path, methods, facts.name, outcome, _KINDS[facts.kind], named)


class _Compiler:
    """Compiles the routes of one application and of those that are mounted in it."""

    def __init__(self, app: Any, stack: Stack, cors: CorsHeaders | None, kept: Kept) -> None:
        self._app = app
        self._stack = stack
        self.cors = cors
        self._kept = kept
        self._parts: dict[str | None, _Part] = {}
        self._main = self._part(app, stack, None)

    @property
    def around(self) -> Surroundings:
        """What the routes of the application itself have in common."""
        return self._main.memory.around

    def entry(self, facts: RouteFacts) -> Entry | Fallback:
        """Compile one route."""
        if facts.kind in ("websocket", "mount"):
            return self._whole(facts, build_socket if facts.kind == "websocket" else build_static)
        own = facts.mounted
        part = self._main if own is None else self._parts.get(own.prefix) or self._part(own.app, own.stack, own.prefix)
        return _entry(facts, part.app, part.memory, part.before)

    def _whole(self, facts: RouteFacts, make: Callable[..., Entry | Fallback]) -> Entry | Fallback:
        main = self._main
        # Its plan was made from the stack's own objects.
        application = facts.route.app
        names = facts.path, facts.why
        key = (id(facts.asgi), id(application), id(facts.route), *names, *map(id, facts.hosts), id(self._stack))
        known = main.before.get(key)
        if known is None:
            try:
                made = make(facts, self._stack, self.around)
            except Exception as error:
                made = Fallback(f"not understood ({type(error).__name__}: {error})")
            known = None, made, (facts, application, self._stack)
        main.memory.entries[key] = known
        return known[1]

    def errors(self, compiled: list[tuple[RouteFacts, str]]) -> Errors | ErrorsByApplication:
        """Return what answers the exceptions of the compiled routes."""
        rules = Errors(self._stack, self.around, [each for each in compiled if each[0].mounted is None])
        mounted: dict[int, Errors] = {
            id(part.app): MountedErrors(part.stack, part.memory.around, [])
            for prefix, part in self._parts.items()
            if prefix is not None
        }
        return ErrorsByApplication(rules, mounted) if mounted else rules

    def memories(self) -> dict[str | None, Memory]:
        """Return what is to be kept of each application."""
        return {prefix: part.memory for prefix, part in self._parts.items()}

    def _part(self, app: Any, stack: Stack, prefix: str | None) -> _Part:
        before = self._kept.parts.get(prefix)
        memory = _memory(app, stack, prefix, self._app.router, self.cors, before, layered=bool(self._stack.pieces))
        known = before.entries if before is not None and before.around is memory.around else {}
        part = self._parts[prefix] = _Part(app, stack, memory, known)
        return part


class _Part(NamedTuple):
    """One application while it is being compiled. before: what was known of its routes."""

    app: Any
    stack: Stack
    memory: Memory
    before: dict[Key, Known]


def _stack(app: Any, kept: Kept) -> Stack | Fallback:
    why = internals.unsupported() or internals.replaced()
    if why is not None:
        return Fallback(why)
    try:
        return kept.stack(app)
    except Exception as error:
        return Fallback(f"its middleware cannot be read ({type(error).__name__}: {error})")


def _memory(
    app: Any,
    stack: Stack,
    mounted: str | None,
    router: Any,
    cors: CorsHeaders | None,
    before: Memory | None,
    *,
    layered: bool,
) -> Memory:
    """Return the memory of an application, with its surroundings from before where they are the same.

    mounted: where it stands in another one, whose router and cors count; None for the outermost.
    layered: there is middleware around it.
    """
    decline = decline_type()
    handlers = (stack.exceptions._exception_handlers, stack.exceptions._status_handlers)
    held = (*handlers, app, app.router, router, cors and cors.middleware)
    common = (internals.own_json(JSONResponse), internals.form_basis(), layered)
    basis = (*map(id, held), app.root_path, decline, stack.limited, *common)
    if before is not None and before.basis == basis:
        return Memory(basis, held, before.around)
    scope = {"app": app, "starlette.exception_handlers": handlers, "router": router}
    if app.root_path:
        scope["root_path"] = app.root_path
    return Memory(basis, held, Surroundings(scope, decline, stack.limited, cors, mounted, layered))


def _entry(facts: RouteFacts, app: Any, memory: Memory, before: dict[Key, Known]) -> Entry | Fallback:
    asgi = facts.asgi
    if asgi is None:
        return Fallback(facts.why)
    try:
        key = (id(asgi), id(facts.route), facts.path, facts.methods, *map(id, facts.hosts), *facts.form_limits.items())
        known = before.get(key)
        overrides = app.dependency_overrides if known is not None else None
        if known is not None and known[0] and type(overrides) is dict and known[0].holds(asgi, overrides):
            memory.entries[key] = known
            return known[1]
        mark = internals.fingerprint(asgi, app)
        handler = internals.read_handler(asgi, app)
        if isinstance(handler, Fallback):
            made: Entry | Fallback = handler
        elif handler.custom:
            made = build_custom(facts, handler, memory.around)
        else:
            made = build(facts, handler, memory.around)
        if mark is not None and not (isinstance(handler, Handler) and unbuilt(handler)):
            memory.entries[key] = (mark, made, (facts.route, facts.hosts))
    except Exception as error:
        return Fallback(f"not understood ({type(error).__name__}: {error})")
    return made


def _state(app: Any, stack: Stack, watch: Watch) -> tuple[tuple[Any, ...], list[Any]]:
    """Return what the table and the rest are made from beside the routes, and the objects that it identifies."""
    router = app.router
    settings = [internals.settings_now(each.middleware) for each in stack.pieces if each.native and stack.built]
    handlers = (stack.exceptions._exception_handlers, stack.exceptions._status_handlers)
    held: list[Any] = [each for handler in handlers for pair in handler.items() for each in pair]
    held += [*watch.lists, *watch.dicts, stack.cors]
    held += [each for watched, name in watch.attrs for each in (watched, getattr(watched, name, None))]
    state = (
        decline_type(),
        app.root_path,
        bool(router.redirect_slashes),
        bool(getattr(router, "_low_priority_routes", None)),
        (stack.outside, stack.limited, stack.built),
        tuple((each.kind, each.name) for each in stack.pieces),
        tuple(settings),
        tuple(map(id, held)),
    )
    return state, held


def _state_of_route(facts: RouteFacts, made: Entry | Fallback) -> tuple[Any, ...]:
    mounted = facts.mounted and (id(facts.mounted.app), facts.mounted.prefix)
    entry = made.reason if isinstance(made, Fallback) else id(made)
    shown = (facts.kind, facts.path, facts.methods, facts.allow, facts.name, facts.why, facts.table_path)
    return (*shown, id(facts.route), id(facts.included), mounted, entry)


def _with_mounts(watch: Watch, mounts: internals.Mounts) -> Watch:
    lists, dicts, attrs = watch.lists, watch.dicts, list(watch.attrs)
    for route, app, stack in mounts:
        more = _watch(app, stack, [])
        lists += more.lists
        dicts += more.dicts
        attrs += [(route, "app"), *more.attrs]
    return Watch(lists, dicts, tuple(attrs))


def _watch(app: Any, stack: Stack | None, lists: list[list[Any]]) -> Watch:
    router = getattr(app, "router", None)
    dicts: list[Any] = [getattr(app, "dependency_overrides", None)]
    attrs: list[tuple[Any, str]] = [
        (app, name) for name in ("router", "middleware_stack", "dependency_overrides", "root_path")
    ]
    more = [getattr(app, "user_middleware", None)]
    if router is not None:
        attrs += [(router, name) for name in ("routes", "redirect_slashes", "middleware_stack", "default")]
        more.append(getattr(router, "_low_priority_routes", None))
    if stack is not None:
        dicts += [stack.exceptions._exception_handlers, stack.exceptions._status_handlers]
        attrs += [(stack.errors, "handler"), (stack.errors, "debug")]
        for piece in stack.pieces:
            if piece.kind == "dispatch":
                attrs.append((piece.middleware, "dispatch_func"))
            elif piece.native and stack.built:
                settings = internals.settings_of(piece.middleware)
                more += settings[0]
                dicts += settings[1]
                attrs += settings[2]
    telemetry = internals.telemetry_watch(app)
    return Watch(
        lists=tuple(each for each in (*lists, *more) if isinstance(each, list)),
        dicts=tuple(each for each in (*dicts, *telemetry[0]) if type(each) is dict),
        attrs=(*attrs, *telemetry[1], *internals.form_watch()),
    )
