"""What no plan takes, under middleware: the application's own router answers, at the bottom of the same layers.

Unknown paths are told apart, because the engine has found that no route matches: the search is left out, and where
nobody else has a say in it the answer is ready.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from ..internals import around_router, names_route, pass_gate
from .reply import Layer, Reply

__all__ = ["files", "missing", "rest"]


def rest(exceptions: Any) -> Layer:
    """Return the application behind its middleware as a layer. exceptions: the first of what is there."""

    async def layer(_proxy: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        await pass_gate(exceptions, scope, receive, send)
        return None

    return layer


def missing(stack: Any, entries: dict[str, Any], ready: dict[str, Any] | None, other: Layer) -> Layer:
    """Return the layer for requests that no route matches.

    entries: what FastAPI puts into the scope. ready: the answer, as the table has them; None where code of the
    application's makes it. other: takes a request that middleware has changed.
    """
    router, root = entries["router"], entries.get("root_path")

    async def default(scope: Any, receive: Any, send: Any) -> None:
        scope["router"] = router
        await router.default(scope, receive, send)

    own = around_router(stack, default)
    if ready is not None:
        status, body = ready["status"], ready["body"].encode()
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in ready["fields"]]
        length = fields[0] if fields and fields[0][0] == b"content-length" else None

    async def layer(proxy: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        if "router" in scope or not proxy.matches(scope, root):
            return await other(proxy, scope, receive, send)
        if ready is None:
            await own(scope, receive, send)
            return None
        scope.update(entries)
        return Reply(status, list(fields), body, length)

    return layer


def files(mount: Any, entries: dict[str, Any], look: Any, other: Layer) -> Layer:
    """Return a mount of files as a layer.

    look: `(proxy, scope)` to a value, or None where `other` has to answer. entries: as those of `missing`.
    """
    root = entries.get("root_path")
    if names_route():
        entries["route"] = mount

    async def layer(proxy: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        value: Response | None = None
        if "router" not in scope and proxy.matches(scope, root):
            value = await look(proxy, scope)
        if value is None:
            return await other(proxy, scope, receive, send)
        scope.update(entries)
        scope.update(mount.matches(scope)[1])
        return value

    return layer
