"""`turboapi routes MODULE:APP`: every route with `compiled`, or why it is a fallback."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import load

if TYPE_CHECKING:
    from ..plan import MiddlewareReport, RouteReport

    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add_to"]


def add_to(commands: _Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "routes",
        help="list an application's routes and how each one runs",
        description="List every route with 'compiled', or 'fallback' and the reason. The application is imported, "
        "not started: routes that its lifespan adds are not seen.",
        allow_abbrev=False,
    )
    load.add_arguments(parser)
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Print the table, and return the exit code."""
    app = load.load(arguments.app, app_dir=arguments.app_dir, factory=arguments.factory)
    from ..engine.routes import compiled

    made = compiled(app)
    if made is None:
        print(f"{arguments.app} is no FastAPI application: all of it runs through its ASGI interface.")
        return 0
    sys.stdout.write(table(made.report))
    sys.stdout.write(middlewares(made.middleware))
    if made.notice:
        print(made.notice)
    return 0


def table(report: Sequence[RouteReport]) -> str:
    """Return the report as aligned lines: methods, path, outcome; and a line that counts."""
    rows = [(",".join(sorted(route.methods or ("*",))), route.path or "/", route.outcome) for route in report]
    widths = [max((len(row[i]) for row in rows), default=0) for i in (0, 1)]
    lines = [f"{methods:<{widths[0]}}  {path:<{widths[1]}}  {outcome}" for methods, path, outcome in rows]
    done = sum(outcome == "compiled" for _, _, outcome in rows)
    lines.append(f"{len(rows)} routes, {done} compiled, {len(rows) - done} fallback")
    return "\n".join(lines) + "\n"


def middlewares(report: Sequence[MiddlewareReport]) -> str:
    """Return a line for each middleware, outermost first: its name, and whether it is compiled or runs as ASGI."""
    width = max((len(each.name) for each in report), default=0)
    return "".join(f"middleware  {each.name:<{width}}  {each.outcome}\n" for each in report)
