"""The loggers turboapi.error and turboapi.access, and what the engine and the hot path write to them."""

from __future__ import annotations

import logging
import sys
from typing import Any

from .settings import LEVELS

__all__ = ["ACCESS_FORMAT", "access", "configure", "configured", "emit", "error", "from_hot"]

error = logging.getLogger("turboapi.error")
access = logging.getLogger("turboapi.access")

# The arguments of a record are those of uvicorn's access records, so formatters made for those work here:
# client, method, target, HTTP version, status. The record also has `duration`, in seconds.
ACCESS_FORMAT = '%s - "%s %s HTTP/%s" %d'


def emit(gathered: dict[str, Any]) -> int:
    """Write what `control.logs` gave to the loggers, with the times at which the engine made it; return how much."""
    for line in gathered["lines"]:
        if "a" in line:
            client, method, target, minor, status, micros = line["a"]
            if access.isEnabledFor(logging.INFO):
                args = (client, method, target, f"1.{minor}", status)
                _write(access, logging.INFO, ACCESS_FORMAT, args, line["t"], {"duration": micros / 1e6})
        elif error.isEnabledFor(line["level"]):
            text = f"{line['msg']}\n{line['stack']}" if line.get("stack") else line["msg"]
            _write(error, line["level"], "%s", (text,), line["t"], None)
    if gathered["dropped"]:
        error.warning("%d log lines were dropped: they came faster than they were written.", gathered["dropped"])
    return len(gathered["lines"])


def from_hot(level: int, message: str, exc: BaseException | None) -> None:
    """Write a line of the hot path, with the traceback of `exc`."""
    error.log(level, "%s", message, exc_info=exc)


def set_level(name: str | None) -> None:
    """Set the level of both loggers; None leaves them as they are."""
    if name is not None:
        error.setLevel(LEVELS[name])
        access.setLevel(LEVELS[name])


def configured() -> bool:
    """Return whether somebody has given the loggers a handler, their own or the root's."""
    return error.hasHandlers()


def configure(level: str | None = None) -> None:
    """Give the loggers plain handlers: errors and notices to stderr, access to stdout. For programs, not libraries."""
    for logger, stream, layout in (
        (error, sys.stderr, "%(levelname)s: %(message)s"),
        (access, sys.stdout, "%(levelname)s: %(message)s"),
    ):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter(layout))
        for old in list(logger.handlers):
            logger.removeHandler(old)
        logger.addHandler(handler)
        logger.propagate = False
    set_level(level or "info")


def _write(
    logger: logging.Logger, level: int, text: str, args: tuple[Any, ...], when: float, extra: dict[str, Any] | None
) -> None:
    record = logger.makeRecord(logger.name, level, "(engine)", 0, text, args, None, extra=extra)
    record.created = when
    record.msecs = when % 1 * 1000
    logger.handle(record)
