"""What a server knows of its application's routes: compiled, installed, and made again when something changes."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from . import control

if TYPE_CHECKING:
    from ..plan import CompiledApp
    from . import _hot

__all__ = ["Routes", "compiled", "is_fastapi"]

# After a change everything runs as fallback for so many compile times, at least so long, at most so long:
# an application that changes with every request does not spend its time compiling.
_REST_FACTOR = 10.0
_REST_LEAST = 0.01
_REST_MOST = 5.0

# The table of an application that has no plans: all of it is the ASGI application's.
_NO_ROUTES: dict[str, Any] = {
    "cors": False,
    "redirect_slashes": False,
    "root_path": "",
    "not_found": None,
    "routes": [],
    "plans": [],
}

_NO_WATCH = SimpleNamespace(lists=(), dicts=(), attrs=())

_log = logging.getLogger("turboapi.error")


def is_fastapi(app: Any) -> bool:
    """Tell whether an application's routes can be compiled."""
    if "fastapi" not in sys.modules:
        return False  # then nothing can be an instance of its classes
    import fastapi

    return isinstance(app, fastapi.FastAPI)


def compiled(app: Any) -> CompiledApp | None:
    """Return the plans of a FastAPI application; None for every other one."""
    if not is_fastapi(app):
        return None
    from ..plan import compile_app

    return compile_app(app)


class _Errors:
    """Hands exceptions of compiled routes to the plans' own rules; they change when the routes do."""

    def __init__(self) -> None:
        self.rules: Any = None

    def quick(self, proxy: Any, exc: BaseException) -> Any | None:
        return None if self.rules is None else self.rules.quick(proxy, exc)

    async def handle(self, proxy: Any, exc: BaseException) -> Any | None:
        if self.rules is None:
            raise exc
        return await self.rules.handle(proxy, exc)


class Routes:
    """Keeps one server's table and plans in step with its application. Loop's thread only."""

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop, *, root_path: str = "") -> None:
        """Make it for a server whose scopes have this root_path although their paths may not begin with it."""
        self.errors = _Errors()
        self._app = app
        self._loop = loop
        self._hot: _hot.Server | None = None
        self._handle = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stale = False
        self._version = 0
        self._root_path = root_path

    def install(self, hot: _hot.Server, handle: int) -> None:
        """Compile the application and give its table and plans to the engine."""
        self._hot = hot
        self._handle = handle
        made = self._compile()
        if made is not None and made.notice:
            _log.warning("%s", made.notice)

    def changed(self) -> None:
        """Called before a turn when something that plans were made from has changed: fallback now, new plans soon."""
        if self._hot is None:
            return
        self._put(None)
        self._stale = True
        if self._timer is None:
            self._timer = self._loop.call_later(_REST_LEAST, self._again)

    def close(self) -> None:
        """Forget the server; later changes do nothing."""
        self._hot = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        self._timer = None
        if self._hot is None or not self._stale:
            return
        self._stale = False
        began = time.monotonic()
        self._compile()
        rest = (time.monotonic() - began) * _REST_FACTOR
        self._timer = self._loop.call_later(max(_REST_LEAST, min(rest, _REST_MOST)), self._again)

    def _compile(self) -> CompiledApp | None:
        try:
            made = compiled(self._app)
        except Exception:
            # A FastAPI that the compiler does not understand must not keep the application from running.
            _log.exception("The routes could not be compiled; all of them run as fallback.")
            made = None
        self._put(made)
        return made

    def _put(self, made: CompiledApp | None) -> None:
        hot = self._hot
        assert hot is not None
        if made is None:
            self._version += 1
            table = json.dumps({"version": self._version, **_NO_ROUTES}).encode()
            hot.set_plans(self._version, (), _NO_WATCH)
        else:
            table = made.table
            self._version = made.version
            if self._root_path:
                read = json.loads(table)
                table = json.dumps({**read, "root_path": read["root_path"] or self._root_path}).encode()
            # Before the plans: an exchange of theirs may raise at once. Rules of older plans are the application's too.
            self.errors.rules = made.errors
            hot.set_plans(self._version, made.plans, made.watch, made.cors)
        control.set_table(self._handle, table)
