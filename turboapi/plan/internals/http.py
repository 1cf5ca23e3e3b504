"""The private parts of Starlette's BaseHTTPMiddleware that code under it can see."""

from __future__ import annotations

import functools
from typing import Any

from starlette.middleware import base as _base
from starlette.middleware.base import BaseHTTPMiddleware

from .tools import inner_code, mentions, own_function

__all__ = ["cached_request", "dispatch_understood", "streaming_class", "streaming_response"]

# Of the object that call_next gives: with other attributes it is not understood.
_ATTRIBUTES = {"info", "body_iterator", "status_code", "media_type", "background", "raw_headers"}


@functools.cache
def dispatch_understood() -> bool:
    """Tell whether this release's middleware works as `middleware/dispatch.py` has it.

    Older ones let the application go on as soon as its last message is taken, and raise what it raises later at
    another place; there Starlette's own code runs.
    """
    try:
        call = BaseHTTPMiddleware.__call__
        coded = inner_code(call, "call_next") if own_function(call, "__call__") else None
        if coded is None or not mentions(coded, "http.response.early_hint"):
            return False
        if not mentions(coded, "http.response.pathsend") or "aclosing" not in vars(_base):
            return False
        return set(vars(_base._StreamingResponse(content=_none()))) == _ATTRIBUTES
    except (AttributeError, LookupError, TypeError):
        return False


@functools.cache
def cached_request() -> Any:
    """Return the function from scope, receive and send to the request that dispatch functions get.

    What they read of the body is there for the application, too. Where the class does nothing but set known
    attributes, they are set here, in one function instead of three. None where that middleware is not understood.
    """
    if not dispatch_understood():
        return None
    cls: Any = _base._CachedRequest
    new, given = cls.__new__, ({"type": "http"}, _none, print)

    def make(scope: Any, receive: Any, send: Any) -> Any:
        request = new(cls)
        request.scope = scope
        request._receive = receive
        request._send = send
        request._stream_consumed = request._is_disconnected = False
        request._form = None
        request._wrapped_rcv_disconnected = request._wrapped_rcv_consumed = False
        return request

    return make if vars(cls(*given)) == vars(make(*given)) else cls


def streaming_class() -> type[Any]:
    """Return the class of what call_next gives."""
    return _base._StreamingResponse


def streaming_response(status: int, headers: Any, content: Any, info: Any = None) -> Any:
    """Return what call_next gives."""
    response: Any = _base._StreamingResponse.__new__(_base._StreamingResponse)
    response.info = info
    response.body_iterator = content
    response.status_code = status
    response.media_type = None
    response.background = None
    response.raw_headers = headers
    return response


async def _none() -> Any:
    empty: tuple[bytes, ...] = ()
    for each in empty:
        yield each
