"""Starlette's own middleware that is known by its class, as long as that is what Starlette made it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

from .signing import signer_attributes, signer_watch
from .tools import own_function

__all__ = ["Known", "contents", "known_class", "known_object", "settings_now", "settings_of", "with_application"]

Known = Literal["cors", "gzip", "hosts", "https", "session"]

_CLASSES: dict[tuple[str, str], Known] = {
    ("starlette.middleware.cors", "CORSMiddleware"): "cors",
    ("starlette.middleware.gzip", "GZipMiddleware"): "gzip",
    ("starlette.middleware.trustedhost", "TrustedHostMiddleware"): "hosts",
    ("starlette.middleware.httpsredirect", "HTTPSRedirectMiddleware"): "https",
    ("starlette.middleware.sessions", "SessionMiddleware"): "session",
}

_AUTHORS = {"starlette", "itsdangerous", *sys.stdlib_module_names}


def known_class(cls: Any) -> Known | None:
    """Return what an exact class of Starlette's is, None for every other and for one that was changed."""
    if not isinstance(cls, type) or cls.__mro__ != (cls, object):
        return None
    kind = _CLASSES.get((cls.__module__, cls.__qualname__))
    if kind is None or not own_function(vars(cls).get("__call__"), "__call__") or "app" in vars(cls):
        return None
    # Its neighbours are part of it: the responders of GZipMiddleware, the dict of sessions, what they import.
    named = vars(sys.modules.get(cls.__module__)).items()
    classes = {name: each for name, each in named if isinstance(each, type)}
    return kind if classes.get(cls.__name__) is cls and all(map(_unchanged, classes, classes.values())) else None


def known_object(middleware: Any) -> Known | None:
    """Return what a middleware is, None where its class or itself was changed."""
    kind = known_class(type(middleware))
    if kind is None or "app" not in vars(middleware):
        return None
    return None if any(hasattr(type(middleware), name) for name in vars(middleware)) else kind


def with_application(middleware: Any, app: Callable[..., Any]) -> Any:
    """Return a middleware like another one, around another application."""
    twin = object.__new__(type(middleware))
    twin.__dict__.update(middleware.__dict__, app=app)
    return twin


def settings_of(middleware: Any) -> tuple[list[Any], list[dict[Any, Any]], list[tuple[Any, str]]]:
    """Return the lists, dicts and (object, attribute) that a known middleware's answers depend on.

    These are its attributes and those of a signer of its, what is in them, and functions of their classes.
    """
    holders = [vars(middleware), *signer_attributes(middleware)]
    values = _values(middleware)
    return (
        [value for value in values if type(value) is list],
        [*holders, *(value for value in values if type(value) is dict)],
        [(type(middleware), "__call__"), *signer_watch(middleware)],
    )


def settings_now(middleware: Any) -> tuple[Any, ...]:
    """Return what tells its settings of now from others: values where they are plain, else identities."""

    def plain(value: Any) -> Any:
        return value if isinstance(value, (str, bytes, int, float, type(None))) else id(value)

    signers = [each for attributes in signer_attributes(middleware) for each in attributes.items()]
    settings = [*vars(middleware).items(), *signers]
    return tuple((name, plain(value), *map(plain, contents(value) or ())) for name, value in settings)


def contents(value: Any) -> list[Any] | None:
    """Return what is in a setting that is a list, tuple or dict; None for every other."""
    if type(value) in (list, tuple):
        return list(value)
    return [*value, *value.values()] if type(value) is dict else None


def _values(middleware: Any) -> list[Any]:
    own = [value for name, value in vars(middleware).items() if name != "app"]
    return [*own, *(value for attributes in signer_attributes(middleware) for value in attributes.values())]


def _unchanged(name: str, cls: type[Any]) -> bool:
    """Tell whether a class is the one that its module's author has put under that name."""
    if cls.__qualname__ != name or cls.__module__.partition(".")[0] not in _AUTHORS:
        return False
    if not cls.__module__.startswith("starlette.middleware."):
        return True
    for each in vars(cls).values():
        function = each.__func__ if isinstance(each, (staticmethod, classmethod)) else each
        function = function.fget if isinstance(function, property) else function
        if callable(function) and not isinstance(function, type) and not own_function(function):
            return False
    return True
