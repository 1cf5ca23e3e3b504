"""From `MODULE:APP` to the application, with messages for those who mistyped and tracebacks for those who mis-wrote."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from types import ModuleType, TracebackType
from typing import Any

__all__ = ["LoadError", "add_arguments", "load"]

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class LoadError(Exception):
    """There is no application to serve. `code` is the exit code: 2 for wrong usage, 1 for the application's fault."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which application is meant."""
    parser.add_argument("app", metavar="MODULE:APP", help="module and name of the application, such as main:app")
    parser.add_argument(
        "--app-dir", default="", metavar="DIR", help="look for MODULE here first (default: the current directory)"
    )
    parser.add_argument("--factory", action="store_true", help="APP is a function that returns the application")


def load(target: str, *, app_dir: str = "", factory: bool = False) -> Any:
    """Import MODULE and return its APP, called first if it is a factory.

    app_dir goes to the front of sys.path. Raises LoadError; an exception of the application's own
    code has been printed with its traceback by then, without frames of ours.
    """
    module_name, colon, path = target.partition(":")
    if not module_name or (colon and not path):
        raise LoadError(f"{target!r} is not of the form MODULE:APP, such as main:app", 2)
    directory = os.path.abspath(app_dir or os.curdir)
    if not os.path.isdir(directory):
        raise LoadError(f"--app-dir {app_dir!r} is not a directory", 2)
    if directory not in sys.path:
        sys.path.insert(0, directory)
    if module_name.endswith(".py") or os.sep in module_name:
        dotted = module_name.removesuffix(".py").replace(os.sep, ".").strip(".")
        raise LoadError(f"{module_name!r} is a file; give its module name, as in {dotted}:{path or 'app'}", 2)
    module = _import(module_name, directory)
    if not colon:
        raise LoadError(f"{target!r} names no application; give it as in {module_name}:{_likely(module)}", 2)
    app = _attribute(module, module_name, path)
    if factory:
        app = _call(app, target)
    if not callable(app):
        raise LoadError(f"{target!r} is {_kind(app)}, not an ASGI application", 2)
    return app


def _import(name: str, directory: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # The module itself, or a package on the way to it: mistyped. Any other: the application's own import.
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise LoadError(f"no module named {error.name!r} in {directory} or elsewhere on sys.path", 2) from None
        raise _blame(error, f"importing {name!r} failed") from None
    except Exception as error:
        raise _blame(error, f"importing {name!r} failed") from None


def _attribute(module: ModuleType, module_name: str, path: str) -> Any:
    value: Any = module
    done: list[str] = []
    for part in path.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            import difflib  # for mistakes only

            near = difflib.get_close_matches(part, dir(value), n=1)
            hint = f"; did you mean {':'.join([module_name, '.'.join([*done, near[0]])])}?" if near else ""
            where = ":".join([module_name, ".".join(done)]) if done else f"module {module_name!r}"
            raise LoadError(f"{where} has no attribute {part!r}{hint}", 2) from None
        done.append(part)
    return value


def _call(factory: Any, target: str) -> Any:
    if not callable(factory):
        raise LoadError(f"--factory: {target!r} is {_kind(factory)}, not a function", 2)
    try:
        return factory()
    except Exception as error:
        raise _blame(error, f"calling {target!r} failed") from None


def _likely(module: ModuleType) -> str:
    for name in ("app", "application", "api"):
        if callable(getattr(module, name, None)):
            return name
    return "app"


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _blame(error: Exception, what: str) -> LoadError:
    """Print the traceback from the application's first frame on."""
    error.__traceback__ = _own_frames_off(error.__traceback__)
    traceback.print_exception(error)
    return LoadError(what, 1)


def _own_frames_off(found: TracebackType | None) -> TracebackType | None:
    while found is not None:
        name = found.tb_frame.f_code.co_filename
        if not (name.startswith((_HERE, "<frozen importlib")) or name == importlib.__file__):
            break
        found = found.tb_next
    return found
