"""Mounts of Starlette's StaticFiles: looked up by Starlette's own code, and sent as any file is.

Nothing of the application's runs, so whatever is out of the ordinary is left to FastAPI, from the start. A look into
the kernel's memory of a local disk takes microseconds, much less than a hop to a thread; where the files are
elsewhere, or a disk has been slow, it is made on a call thread.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from . import internals
from .entry import Entry, call_name
from .facts import RouteFacts
from .internals import Stack
from .middleware.reply import Reply, is_value
from .plans import Fallback, HotPlan
from .scope import Surroundings

__all__ = ["build_static"]

_LOCAL = frozenset("btrfs erofs ext2 ext3 ext4 f2fs overlay ramfs squashfs tmpfs xfs zfs".split())
# A look that has read from a disk and taken longer: for so long others are made on threads. In seconds.
_SLOW = 0.001
_WARY = 1.0


def build_static(facts: RouteFacts, stack: Stack, around: Surroundings) -> Entry | Fallback:
    """Compile one mount of files; Fallback for any other mount."""
    find = internals.file_finder(facts.route) if not facts.route.param_convertors.keys() - {"path"} else None
    if find is None or facts.included is not None:
        return Fallback(facts.why)
    why = _unfit(facts, stack)
    if why is not None:
        return Fallback(why)
    decline = around.decline
    root = {name: around.scope[name] for name in ("root_path",) if name in around.scope}
    handlers = stack.exceptions._exception_handlers, stack.exceptions._status_handlers
    own = internals.own_handlers()[0]

    if stack.pieces:
        small = _small(find, root)
        return _entry(facts, _looking(small, facts.route.app))
    look = _looking(find, facts.route.app)

    async def entry(proxy: Any) -> Response:
        try:
            response: Response | None = await look(proxy, {**proxy.scope(), **root})
        except HTTPException as error:
            # Handlers of the application's are asked in another layer than a route's are.
            if error.status_code in handlers[1] or handlers[0].get(HTTPException) is not own:
                raise decline() from None
            raise
        if response is None:
            raise decline()
        return response

    return _entry(facts, entry)


def _entry(facts: RouteFacts, call: Callable[..., Any]) -> Entry:
    return Entry(HotPlan.of_proxy(call, call_name(facts.route.app)), (), "none", None)


def _small(find: Callable[[dict[str, Any]], Response | None], root: dict[str, Any]) -> Callable[..., Response | None]:
    """Return the function from a scope to an answer that is a value; None where Starlette has to see for itself.

    Middleware may want to see what is sent, so a file's bytes are read where they are one message.
    """

    def value(scope: dict[str, Any]) -> Response | None:
        try:
            response = find({**scope, **root})
            body = None if response is None or is_value(response) else internals.whole_file(response, scope)
        except (HTTPException, OSError):
            return None
        if response is None or is_value(response):
            return response
        return None if body is None else Reply(response.status_code, response.raw_headers, body)

    return value


def _looking(find: Callable[[dict[str, Any]], Response | None], files: Any) -> Callable[..., Any]:
    """Return the coroutine function that finds on the loop's thread, or on another where that might take long."""
    at_hand = all(map(_is_local, files.all_directories))
    wary_until = 0.0
    first = True  # it reads the system's list of media types

    async def look(proxy: Any, scope: dict[str, Any]) -> Response | None:
        nonlocal wary_until, first
        began = time.monotonic()
        if first or not at_hand or began < wary_until:
            first = False
            found: Response | None = await proxy.run(find, scope)
            return found
        read = _reads()
        try:
            return find(scope)
        finally:
            ended = time.monotonic()
            if ended - began > _SLOW and _reads() != read:
                wary_until = ended + _WARY

    return look


def _reads() -> int:
    """Return how often this thread has had the kernel read from a disk. Time alone tells of a busy machine, too."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_inblock


def _is_local(folder: Any) -> bool:
    """Tell whether a folder is on a file system of this machine."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        path = Path(folder).resolve()
    except (OSError, TypeError, ValueError):
        return False
    kind, longest = "", 0
    for line in mounts:
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4]
        if len(point) >= longest and path.is_relative_to(point):  # one with a space in it is written otherwise
            kind, longest = after.split(" ")[0], len(point)
    return kind in _LOCAL


def _unfit(facts: RouteFacts, stack: Stack) -> str | None:
    if facts.mounted is not None or facts.hosts:
        return "files in a mounted application" if facts.mounted is not None else "files behind a Host route"
    return "files with a body limit of the application" if stack.limited else None
