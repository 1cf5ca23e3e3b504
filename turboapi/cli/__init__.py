"""The command `turboapi`. Exit codes: 0 stopped gracefully, 1 the application or the system refused, 2 wrong usage.

128 + the signal's number when a second signal stopped the server at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .._version import __version__
from . import routes, run
from .load import LoadError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default sys.argv[1:]) and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="turboapi",
        description="Serve FastAPI and other ASGI applications on a Go engine inside the Python process.",
        epilog="Exit codes: 0 stopped gracefully, 1 the application or the system refused, 2 wrong usage.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"turboapi {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    run.add_to(commands)
    routes.add_to(commands)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.execute(arguments))
    except LoadError as error:
        print(f"turboapi: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
