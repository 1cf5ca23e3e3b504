"""Looking into functions, and running coroutines that await nothing."""

from __future__ import annotations

import functools
import inspect
from types import CodeType, FunctionType
from typing import Any

__all__ = ["closure", "drive", "inner_code", "mentions", "own_function", "takes"]


@functools.lru_cache(maxsize=64)
def inner_code(function: Any, name: str) -> CodeType:
    """Return the code of the function `name` that is defined inside `function`. Raises LookupError."""
    for const in function.__code__.co_consts:
        if isinstance(const, CodeType) and const.co_name == name:
            return const
    raise LookupError(f"{function.__qualname__} defines no function {name!r}")


def closure(function: Any) -> dict[str, Any]:
    """Return the variables that a function closed over."""
    cells = function.__closure__ or ()
    return {name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, cells, strict=True)}


def mentions(code: CodeType, text: str) -> bool:
    """Tell whether a string constant stands in the code or in that of the functions inside it."""
    return text in code.co_consts or any(isinstance(each, CodeType) and mentions(each, text) for each in code.co_consts)


def own_function(function: Any, name: str | None = None) -> bool:
    """Tell whether this is a plain function of FastAPI or Starlette, not one that took its place."""
    return (
        isinstance(function, FunctionType)
        and not hasattr(function, "__wrapped__")
        and function.__module__.partition(".")[0] in ("fastapi", "starlette")
        and name in (None, function.__name__)
    )


@functools.cache
def takes(function: Any, name: str) -> bool:
    """Tell whether a function of FastAPI's has a parameter of that name."""
    return name in inspect.signature(function).parameters


def drive(coroutine: Any) -> Any:
    """Return the result of a coroutine that awaits nothing. Raises RuntimeError where it does."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise RuntimeError("turboapi: FastAPI awaited where it was not expected to")
