"""The application's own middleware, one by one: what kind each is, and what a foreign one hides."""

from __future__ import annotations

import functools
import gc
from collections import deque
from collections.abc import Callable
from types import CellType, FunctionType, MethodType
from typing import Any, Literal, NamedTuple

from starlette.middleware.base import BaseHTTPMiddleware

from .http import dispatch_understood
from .known import Known, known_class, known_object

__all__ = ["Piece", "find", "piece_of", "piece_of_class"]

# A foreign middleware keeps what it calls within so many objects of itself.
_FAR = 5000


class Piece(NamedTuple):
    """One middleware. kind: "foreign" is known as an ASGI application only. middleware: None before it was made."""

    kind: Literal["dispatch", "foreign"] | Known
    middleware: Any
    name: str

    @property
    def native(self) -> bool:
        """Whether it is one of Starlette's own that are known."""
        return self.kind not in ("dispatch", "foreign")

    @property
    def cost(self) -> str:
        """How it runs, in the report's words."""
        return "ASGI" if self.kind == "foreign" else "compiled"


def piece_of(middleware: Any) -> Piece:
    """Return what is known of one middleware."""
    name = getattr(middleware, "__qualname__", type(middleware).__qualname__)
    if type(middleware) is BaseHTTPMiddleware:
        name = getattr(middleware.dispatch_func, "__qualname__", name)
    dispatch = isinstance(middleware, BaseHTTPMiddleware) and _dispatches(type(middleware))
    if dispatch and "app" in vars(middleware) and "dispatch_func" in vars(middleware):
        return Piece("dispatch", middleware, name)
    return Piece(known_object(middleware) or "foreign", middleware, name)


def piece_of_class(cls: Any) -> Piece:
    """Return what can be known before the application has made it."""
    dispatch = isinstance(cls, type) and issubclass(cls, BaseHTTPMiddleware) and _dispatches(cls)
    kind = "dispatch" if dispatch else known_class(cls) or "foreign"
    return Piece(kind, None, getattr(cls, "__qualname__", repr(cls)))


def _dispatches(cls: type[Any]) -> bool:
    own = cls.__call__ is BaseHTTPMiddleware.__call__ and "__getattribute__" not in vars(cls)
    return own and dispatch_understood()


def find(start: Any, wanted: Callable[[Any], bool]) -> Any:
    """Return what is wanted among an object's attributes, closures and arguments, near or far; or None."""
    seen = {id(start)}
    queue = deque([start])
    while queue and len(seen) < _FAR:
        at = queue.popleft()
        for each in _parts(at):
            if id(each) in seen:
                continue
            seen.add(id(each))
            if wanted(each):
                return each
            queue.append(each)
    return None


def _parts(value: Any) -> list[Any]:
    if isinstance(value, FunctionType):
        return [*(value.__closure__ or ()), *(value.__defaults__ or ()), *vars(value).values()]
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, (dict, list, tuple, CellType)):
        return gc.get_referents(value)
    if isinstance(value, type) or not hasattr(value, "__dict__"):
        return gc.get_referents(value) if hasattr(type(value), "__slots__") and not isinstance(value, type) else []
    return list(vars(value).values())
