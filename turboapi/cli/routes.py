"""`turboapi routes MODULE:APP`: every route with `compiled`, or why it is a fallback. Text, JSON, or a check."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..engine import logs
from ..engine.failures import StartupFailed
from . import load

if TYPE_CHECKING:
    from ..plan import CompiledApp, MiddlewareReport, RouteReport

    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add_to"]


def add_to(commands: _Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "routes",
        help="list an application's routes and how each one runs",
        description="List every route with 'compiled', or 'fallback' and the reason. The application is imported, "
        "not started: routes that its lifespan adds are seen with --started only.",
        epilog="Exit codes: 0 done, 1 the application failed or --check found a fallback, 2 wrong usage.",
        allow_abbrev=False,
    )
    load.add_arguments(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what is printed (default: text)")
    parser.add_argument("--started", action="store_true", help="run the application's start-up first, and its shutdown")
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where a route for HTTP requests is a fallback"
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PATH",
        help="a path that --check lets be a fallback; may be repeated",
    )
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Print the list, and return the exit code."""
    app = load.load(arguments.app, app_dir=arguments.app_dir, factory=arguments.factory)
    try:
        made = _compiled(app, started=arguments.started)
    except StartupFailed:
        return 1  # its report is in the log
    if arguments.format == "json":
        json.dump(document(arguments.app, made), sys.stdout, indent=2)
        print()
    elif made is None:
        print(f"{arguments.app} is no FastAPI application: all of it runs through its ASGI interface.")
    else:
        sys.stdout.write(table(made.report))
        sys.stdout.write(middlewares(made.middleware))
        if made.notice:
            print(made.notice)
    return _checked(arguments.app, made, arguments.allow) if arguments.check else 0


def _compiled(app: Any, *, started: bool) -> CompiledApp | None:
    from ..engine.routes import compiled

    if not started:
        return compiled(app)
    from ..asgi.lifespan import Lifespan

    logs.configure("warning")

    async def between() -> CompiledApp | None:
        lifespan = Lifespan(app, "auto")
        await lifespan.startup()
        try:
            return compiled(app)
        finally:
            await lifespan.shutdown()

    return asyncio.run(between())


def _checked(name: str, made: CompiledApp | None, allowed: Sequence[str]) -> int:
    """Say on stderr what is a fallback and was not to be, and return the exit code."""
    if made is None:
        print(f"turboapi: {name} has no routes that could be compiled", file=sys.stderr)
        return 1
    found = [each for each in made.report if _reason(each) and each.kind == "http" and each.path not in allowed]
    for each in found:
        print(f"turboapi: {_methods(each)} {each.path} is a {each.outcome}", file=sys.stderr)
    return 1 if found or made.notice else 0


def document(name: str, made: CompiledApp | None) -> dict[str, Any]:
    """Return what `--format json` prints; docs/running.md shows its form."""
    report = () if made is None else made.report
    done = sum(not _reason(each) for each in report)
    return {
        "app": name,
        "fastapi": made is not None,
        "notice": None if made is None else made.notice,
        "counts": {"routes": len(report), "compiled": done, "fallback": len(report) - done},
        "routes": [
            {
                "kind": each.kind,
                "methods": None if each.methods is None else sorted(each.methods),
                "path": each.path,
                "name": each.name,
                "target": each.target,
                "compiled": not _reason(each),
                "reason": _reason(each) or None,
            }
            for each in report
        ],
        "middleware": [
            {"name": each.name, "outcome": each.outcome} for each in (() if made is None else made.middleware)
        ],
    }


def table(report: Sequence[RouteReport]) -> str:
    """Return the report as aligned lines: methods, path, outcome; and a line that counts."""
    rows = [(_methods(each), each.path or "/", each.outcome + _leads_to(each)) for each in report]
    widths = [max((len(row[i]) for row in rows), default=0) for i in (0, 1)]
    lines = [f"{methods:<{widths[0]}}  {path:<{widths[1]}}  {outcome}" for methods, path, outcome in rows]
    done = sum(not _reason(each) for each in report)
    lines.append(f"{len(rows)} routes, {done} compiled, {len(rows) - done} fallback")
    return "\n".join(lines) + "\n"


def middlewares(report: Sequence[MiddlewareReport]) -> str:
    """Return a line for each middleware, outermost first: its name, and whether it is compiled or runs as ASGI."""
    width = max((len(each.name) for each in report), default=0)
    return "".join(f"middleware  {each.name:<{width}}  {each.outcome}\n" for each in report)


def _methods(each: RouteReport) -> str:
    if each.kind in ("websocket", "mount", "host"):
        return each.kind
    return ",".join(sorted(each.methods or ("*",)))


def _leads_to(each: RouteReport) -> str:
    """Name what a route leads to where its own line does not say what runs."""
    return f" ({each.target})" if each.target and each.kind in ("mount", "host") else ""


def _reason(each: RouteReport) -> str:
    """Return why a route is a fallback, nothing where it is compiled."""
    return each.outcome.partition(": ")[2] if each.outcome != "compiled" else ""
