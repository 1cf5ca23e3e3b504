"""What Starlette's limit of a body's size leaves in the scope, where the body keeps to it."""

from __future__ import annotations

import functools
from typing import Any

__all__ = ["limits_understood", "note_limit"]

_ATTRIBUTES = {
    "app",
    "max_body_size",
    "_scope",
    "_receive",
    "_send",
    "content_length",
    "total_size",
    "response_started",
}


def note_limit(scope: dict[str, Any], proxy: Any, limit: int) -> None:
    """Put the limit and what watches over it into the scope of a request whose body is announced as no larger."""
    names, responder = _middleware()
    counting = responder(None, limit)
    counting._scope, counting._receive, counting._send = scope, proxy.receive, proxy.send
    length = proxy.header(b"content-length")
    counting.content_length = None if length is None else int(length)
    for name, value in zip(names, (limit, counting), strict=True):
        scope[name] = value


@functools.cache
def limits_understood() -> bool:
    """Tell whether this release's middleware is the one that is known."""
    try:
        return set(vars(_middleware()[1](None, 1))) == _ATTRIBUTES
    except (AttributeError, ImportError, TypeError):
        return False


@functools.cache
def _middleware() -> tuple[tuple[str, str], Any]:
    from starlette.middleware import body_limit

    names = body_limit.MAX_BODY_SIZE_SCOPE_KEY, body_limit._BODY_LIMIT_RESPONDER_SCOPE_KEY
    return names, body_limit.RequestBodyLimitResponder
