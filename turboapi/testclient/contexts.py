"""The context of the code that calls a test client, for the application's code."""

from __future__ import annotations

from contextvars import Context, copy_context

__all__ = ["callers"]


def callers() -> Context:
    """Return a copy of the caller's context, as Starlette's test client has the application run in.

    What another server of this package, or AnyIO, knows there about the caller itself is not for the application.
    """
    context = copy_context()
    for variable in list(context):
        if variable.name.startswith("turboapi_") or variable.name == "current_async_library_cvar":
            context.run(variable.set, None)
    return context
