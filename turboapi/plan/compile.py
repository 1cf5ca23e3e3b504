"""The plan compiler: a FastAPI application in, its plans, table and report out."""

from __future__ import annotations

from typing import Any

from . import internals
from .cors import CorsHeaders
from .decline import decline_type
from .entry import Entry, Surroundings, build
from .errors import Errors
from .facts import RouteFacts
from .plans import CompiledApp, Fallback, RouteReport, Watch
from .stack import Stack, read_stack
from .table import Statics, table
from .whole import next_version, whole_fallback

__all__ = ["compile_known"]


def compile_known(app: Any) -> CompiledApp:
    """Compile an application of a FastAPI whose modules are where we know them; see `compile_app`."""
    stack = _stack(app)
    lists: list[list[Any]] = []
    if isinstance(stack, Fallback):
        return whole_fallback(app, stack.reason, _watch(app, None, []))
    try:
        facts = list(internals.routes(app, lists))
    except Exception as error:
        return whole_fallback(
            app, f"its routes cannot be read ({type(error).__name__}: {error})", _watch(app, stack, lists)
        )
    around = Surroundings(scope=_scope(app, stack), decline=decline_type(), limited=stack.limited)
    found: list[tuple[RouteFacts, Entry | None]] = []
    report: list[RouteReport] = []
    for each in facts:
        made = _entry(each, around)
        found.append((each, made if isinstance(made, Entry) else None))
        outcome = "compiled" if isinstance(made, Entry) else f"fallback: {made.reason}"
        report.append(RouteReport(each.path, each.methods, each.name, outcome))
    cors = CorsHeaders(stack.cors) if stack.cors is not None else None
    text = table(
        next_version(),
        found,
        Statics(app, stack, cors),
        cors=cors is not None,
        redirect_slashes=bool(app.router.redirect_slashes),
        root_path=app.root_path,
    )
    return CompiledApp(
        table=text,
        plans=tuple(entry.plan for _, entry in found if entry is not None),
        report=tuple(report),
        watch=_watch(app, stack, lists),
        cors=cors,
        errors=Errors(app, stack),
    )


def _stack(app: Any) -> Stack | Fallback:
    why = internals.unsupported() or internals.replaced()
    if why is not None:
        return Fallback(why)
    try:
        return read_stack(app)
    except Exception as error:
        return Fallback(f"its middleware cannot be read ({type(error).__name__}: {error})")


def _entry(facts: RouteFacts, around: Surroundings) -> Entry | Fallback:
    if facts.handler is None:
        return Fallback(facts.why)
    try:
        return build(facts, around)
    except Exception as error:
        return Fallback(f"not understood ({type(error).__name__}: {error})")


def _scope(app: Any, stack: Stack) -> dict[str, Any]:
    handlers = (stack.exceptions._exception_handlers, stack.exceptions._status_handlers)
    scope = {"app": app, "starlette.exception_handlers": handlers, "router": app.router}
    if app.root_path:
        scope["root_path"] = app.root_path
    return scope


def _watch(app: Any, stack: Stack | None, lists: list[list[Any]]) -> Watch:
    router = getattr(app, "router", None)
    lists = [each for each in (*lists, getattr(app, "user_middleware", None)) if isinstance(each, list)]
    dicts = [getattr(app, "dependency_overrides", None)]
    if stack is not None:
        dicts += [stack.exceptions._exception_handlers, stack.exceptions._status_handlers]
    attrs: list[tuple[Any, str]] = [
        (app, "router"),
        (app, "middleware_stack"),
        (app, "dependency_overrides"),
        (app, "root_path"),
    ]
    if router is not None:
        attrs += [(router, "routes"), (router, "redirect_slashes"), (router, "middleware_stack")]
        if hasattr(router, "_low_priority_routes"):
            lists.append(router._low_priority_routes)
    if stack is not None:
        attrs += [(stack.errors, "handler"), (stack.errors, "debug")]
    return Watch(tuple(lists), tuple(each for each in dicts if isinstance(each, dict)), tuple(attrs))
