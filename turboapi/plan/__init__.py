"""The plan compiler: FastAPI routes become plans, entry points and a route table."""

from __future__ import annotations

from typing import Any

from .plans import Arg, CompiledApp, Fallback, HotPlan, MiddlewareReport, RouteReport, Stage, Watch
from .whole import whole_fallback

__all__ = [
    "Arg",
    "CompiledApp",
    "Fallback",
    "HotPlan",
    "MiddlewareReport",
    "RouteReport",
    "Stage",
    "Watch",
    "compile_app",
]


def compile_app(app: Any) -> CompiledApp:
    """Compile a FastAPI application as it is now.

    Never fails for what it does not understand: a route without a plan is a fallback, with the reason in
    the report; with an unknown FastAPI release all are, with a notice. Loads no engine, but plans that are
    to run have to be compiled after the engine was loaded.
    """
    try:
        # Not at the top: an unknown release of FastAPI may lack what it imports.
        from .compile import compile_known
    except (ImportError, AttributeError) as error:
        return whole_fallback(app, f"this FastAPI is not understood ({error})")
    try:
        return compile_known(app)
    except Exception as error:
        return whole_fallback(app, f"the application is not understood ({type(error).__name__}: {error})")
