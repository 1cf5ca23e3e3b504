"""The plan compiler: a FastAPI application in, its plans, table and report out.

A route is compiled again only when what it was made from has changed, so that an
application which adds a route while it runs pays for one.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

from . import internals
from .cors import CorsHeaders
from .custom import build_custom
from .decline import decline_type
from .entry import Entry, build
from .errors import Errors
from .facts import RouteFacts
from .internals import Fingerprint, Stack
from .middleware import Chain
from .mounts import ErrorsByApplication, MountedErrors
from .plans import CompiledApp, Fallback, MiddlewareReport, RouteReport, Watch
from .scope import Surroundings
from .table import Statics, table
from .whole import next_version, whole_fallback

__all__ = ["compile_known"]

_PAST = Fallback("it goes on after its answer (yield, background tasks), under middleware")
_BEHIND = Fallback("it stands behind a route that only the application can match")

_COSTS = {"dispatch": "compiled", "foreign": "ASGI"}

# Identity and the routes' own text; the objects of the fingerprint keep the identities true.
_Key = tuple[Any, ...]


@dataclass(slots=True, weakref_slot=True)
class _Memory:
    """What was compiled for one application, as long as its surroundings stay the same.

    It lives as long as the Errors of an application that was compiled with it.
    """

    basis: tuple[Any, ...]
    around: Surroundings
    entries: dict[_Key, tuple[Fingerprint, Entry | Fallback]] = field(default_factory=dict)


# By application, then by the path that it is mounted at.
_memories: weakref.WeakKeyDictionary[Any, dict[str, weakref.ref[_Memory]]] = weakref.WeakKeyDictionary()


def compile_known(app: Any) -> CompiledApp:
    """Compile an application of a FastAPI whose modules are where we know them; see `compile_app`."""
    stack = _stack(app)
    lists: list[list[Any]] = []
    mounts: internals.Mounts = []
    if isinstance(stack, Fallback):
        return whole_fallback(app, stack.reason, _watch(app, None, []))
    try:
        facts = list(internals.routes(app, stack, lists, mounts))
    except Exception as error:
        reason = f"its routes cannot be read ({type(error).__name__}: {error})"
        return whole_fallback(app, reason, _watch(app, stack, lists))
    cors = CorsHeaders(stack.cors) if stack.cors is not None else None
    compiler = _Compiler(app, stack, cors)
    found: list[tuple[RouteFacts, Entry | None]] = []
    report: list[RouteReport] = []
    behind = False
    for each in facts:
        if each.kind == "websocket":
            report.append(RouteReport(each.path, ("WEBSOCKET",), each.name, f"fallback: {each.why}"))
            continue  # a handshake never reaches the engine's table
        made = _BEHIND if behind and each.asgi is not None else compiler.entry(each)
        behind = behind or each.kind == "barrier"
        if stack.pieces and isinstance(made, Entry) and made.lasts:
            made = _PAST  # middleware has to see the answer before it is sent
        entry = made if isinstance(made, Entry) else None
        found.append((each, entry))
        outcome = f"fallback: {made.reason}" if isinstance(made, Fallback) else "compiled"
        if entry is not None or each.why or each.asgi is not None:
            report.append(RouteReport(each.path, each.methods, each.name, outcome))
    middleware = tuple(MiddlewareReport(piece.name, _COSTS[piece.kind]) for piece in stack.pieces)
    if not stack.built:
        # The plans come with the application's first request, which makes its middleware.
        found = [(each, None) for each, _ in found]
    compiled = [(each, entry) for each, entry in found if entry is not None]
    errors = compiler.errors([(each, entry.body == "json") for each, entry in compiled])
    plans = [entry.plan for _, entry in compiled]
    if stack.pieces:
        if not isinstance(errors, Errors):
            raise TypeError("a mounted application is compiled under middleware")
        chain = Chain(stack, compiler.around, errors)
        plans = [chain.wrap(entry.plan, each, body=entry.body != "none") for each, entry in compiled]
    text = table(
        next_version(),
        found,
        None if stack.pieces else Statics(app, stack, cors),
        cors=cors is not None,
        redirect_slashes=bool(app.router.redirect_slashes),
        root_path=app.root_path,
    )
    return CompiledApp(
        table=text,
        plans=tuple(plans),
        report=tuple(report),
        middleware=middleware,
        watch=_with_mounts(_watch(app, stack, lists), mounts),
        cors=cors,
        errors=errors,
    )


class _Compiler:
    """Compiles the routes of one application and of those that are mounted in it."""

    def __init__(self, app: Any, stack: Stack, cors: CorsHeaders | None) -> None:
        self._app = app
        self._stack = stack
        self._cors = cors
        self._parts: dict[str, _Part] = {}
        self._main = self._part(app, stack, "")

    @property
    def around(self) -> Surroundings:
        """What the routes of the application itself have in common."""
        return self._main.memory.around

    def entry(self, facts: RouteFacts) -> Entry | Fallback:
        """Compile one route."""
        own = facts.mounted
        part = self._main if own is None else self._parts.get(own.prefix) or self._part(own.app, own.stack, own.prefix)
        return _entry(facts, part.app, part.memory, part.before)

    def errors(self, compiled: list[tuple[RouteFacts, bool]]) -> Errors | ErrorsByApplication:
        """Return what answers the exceptions of the compiled routes."""
        main = self._main.memory
        rules = Errors(self._stack, main.around, [each for each in compiled if each[0].mounted is None], main)
        mounted: dict[int, Errors] = {
            id(part.app): MountedErrors(part.stack, part.memory.around, [], part.memory)
            for prefix, part in self._parts.items()
            if prefix
        }
        return ErrorsByApplication(rules, mounted) if mounted else rules

    def _part(self, app: Any, stack: Stack, prefix: str) -> _Part:
        memory = _memory(app, stack, prefix, self._app.router, self._cors)
        before, memory.entries = memory.entries, {}
        part = self._parts[prefix] = _Part(app, stack, memory, before)
        return part


@dataclass(frozen=True, slots=True)
class _Part:
    """One application while it is being compiled. before: what was known of its routes."""

    app: Any
    stack: Stack
    memory: _Memory
    before: dict[_Key, tuple[Fingerprint, Entry | Fallback]]


def _stack(app: Any) -> Stack | Fallback:
    why = internals.unsupported() or internals.replaced()
    if why is not None:
        return Fallback(why)
    try:
        return internals.read_stack(app)
    except Exception as error:
        return Fallback(f"its middleware cannot be read ({type(error).__name__}: {error})")


def _memory(app: Any, stack: Stack, mounted: str, router: Any, cors: CorsHeaders | None) -> _Memory:
    """Return what is known of an application. mounted: where it stands in another one, whose router and cors count."""
    decline = decline_type()
    handlers = (stack.exceptions._exception_handlers, stack.exceptions._status_handlers)
    # Overrides change the tree below what a fingerprint sees.
    given = app.dependency_overrides
    overrides: Any = dict(given) if type(given) is dict else [given] if given else {}
    same = (*handlers, app.router, router, cors and cors.middleware)
    basis = (*map(id, same), app.root_path, decline, stack.limited, overrides)
    known = _memories.setdefault(app, {})
    memory = known[mounted]() if mounted in known else None
    if memory is None or memory.basis != basis or overrides:
        scope = {"app": app, "starlette.exception_handlers": handlers, "router": router}
        if app.root_path:
            scope["root_path"] = app.root_path
        memory = _Memory(basis, Surroundings(scope, decline, stack.limited, cors, mounted))
        known[mounted] = weakref.ref(memory)
    return memory


def _entry(
    facts: RouteFacts, app: Any, memory: _Memory, before: dict[_Key, tuple[Fingerprint, Entry | Fallback]]
) -> Entry | Fallback:
    if facts.asgi is None:
        return Fallback(facts.why)
    try:
        mark = internals.fingerprint(facts.asgi)
        key = (id(facts.asgi), id(facts.route), facts.path, facts.methods)
        known = before.get(key)
        if known is not None and mark is not None and known[0][0] == mark[0]:
            made = known[1]
        else:
            handler = internals.read_handler(facts.asgi, app)
            if isinstance(handler, Fallback):
                made = handler
            elif handler.custom:
                made = build_custom(facts, handler, memory.around)
            else:
                made = build(facts, handler, memory.around)
        if mark is not None:
            memory.entries[key] = (mark, made)
    except Exception as error:
        return Fallback(f"not understood ({type(error).__name__}: {error})")
    return made


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
        attrs += [(piece.middleware, "dispatch_func") for piece in stack.pieces if piece.kind == "dispatch"]
    telemetry = internals.telemetry_watch(app)
    return Watch(
        lists=tuple(each for each in (*lists, *more) if isinstance(each, list)),
        dicts=tuple(each for each in (*dicts, *telemetry[0]) if type(each) is dict),
        attrs=(*attrs, *telemetry[1]),
    )
