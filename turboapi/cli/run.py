"""`turboapi run MODULE:APP`: an option for every setting, a message for every failure."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from ..engine import logs
from ..engine.failures import BindError, EngineError, StartupFailed
from ..engine.settings import Settings
from . import load

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add_to"]

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30}

_METAVARS = {
    "host": "HOST",
    "port": "PORT",
    "uds": "PATH",
    "root_path": "PATH",
    "_size": "SIZE",
    "int": "N",
    "float": "SECONDS",
    "str": "TEXT",
}


def add_to(commands: _Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "run",
        help="serve an application",
        description="Serve an application until SIGINT or SIGTERM. A second signal stops at once.",
        epilog="Where None is accepted, write none.",
        allow_abbrev=False,
    )
    load.add_arguments(parser)
    hints = get_type_hints(Settings)
    for field in dataclasses.fields(Settings):
        _add_option(parser, field, hints[field.name])
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Serve, and return the exit code."""
    values = {f.name: getattr(arguments, f.name) for f in dataclasses.fields(Settings) if f.name in vars(arguments)}
    try:
        settings = Settings.of("run", values)
    except (TypeError, ValueError) as error:
        message = re.sub(r"^run: (\w+)", lambda found: "--" + found[1].replace("_", "-"), str(error))
        print(f"turboapi: {message}", file=sys.stderr)
        return 2
    # Before the application is imported, so that its own configuration of these loggers stands.
    logs.configure(settings.log_level)
    app = load.load(arguments.app, app_dir=arguments.app_dir, factory=arguments.factory)
    from ..engine.server import Server

    try:
        caught = Server(app, **values).run_until_signal()
    except BindError as error:
        return _fail(str(error.strerror), 1)
    except StartupFailed:
        return 1  # its report is in the log
    except (EngineError, ImportError) as error:
        return _fail(str(error), 1)
    except SystemExit as asked:
        return _exit_code(asked)
    return 128 + caught.numbers[-1] if caught.forced else 0


def _fail(message: str, code: int) -> int:
    print(f"turboapi: {message}", file=sys.stderr)
    return code


def _exit_code(asked: SystemExit) -> int:
    """Do what the interpreter does with a SystemExit that nobody caught."""
    if asked.code is None:
        return 0
    if isinstance(asked.code, int):
        return asked.code
    print(asked.code, file=sys.stderr)
    return 1


def _add_option(parser: argparse.ArgumentParser, field: dataclasses.Field[Any], hint: Any) -> None:
    flag = "--" + field.name.replace("_", "-")
    about = field.metadata["about"].replace("%", "%%")
    names = [name for part in (hint, *get_args(hint)) for name in get_args(part) if isinstance(name, str)]
    if hint is bool:
        parser.add_argument(
            flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=_help(about, field)
        )
        return
    types = {part for part in (hint, *get_args(hint)) if part in (int, float)}
    convert = _size if field.metadata["unit"] == "size" else float if float in types else int if int in types else str
    optional = type(None) in get_args(hint)
    parser.add_argument(
        flag,
        default=argparse.SUPPRESS,
        type=_optional(convert) if optional else _named(convert),
        metavar="|".join(names) if names else _METAVARS.get(field.name, _METAVARS[convert.__name__]),
        help=_help(about, field),
    )


def _help(about: str, field: dataclasses.Field[Any]) -> str:
    default: Any = field.default
    words = {None: "none", True: "on", False: "off", "": "empty"}
    text = (
        words.get(default, default) if not isinstance(default, (int, float)) or isinstance(default, bool) else default
    )
    if field.name == "log_level":
        text = "info"
    elif field.metadata["unit"] == "size":
        text = f"{default >> 20}MB" if default >= 1 << 20 else f"{default >> 10}KB"
    return f"{about} (default: {text})"


def _named(convert: Any) -> Any:
    def value(text: str) -> Any:
        return convert(text)

    value.__name__ = {"int": "integer", "float": "number", "_size": "size", "str": "text"}[convert.__name__]
    return value


def _optional(convert: Any) -> Any:
    named = _named(convert)

    def value(text: str) -> Any:
        return None if text.lower() == "none" else named(text)

    value.__name__ = named.__name__
    return value


def _size(text: str) -> int:
    """Read 65536, 64K, 64KB or 64MB; a kilobyte is 1024 bytes."""
    found = re.fullmatch(r"([0-9]+) ?([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNITS:
        raise ValueError(text)
    return int(found[1]) * _UNITS[found[2]]
