"""What of a request goes over the wire, and what the application is told instead where HTTP cannot carry it.

Starlette's test client hands a scope to the application, so its callers can give header fields that no connection
takes: a token that is missing after "Bearer ", a length that is not the body's, a host with a space. Such a request is
sent without them, and the application finds them in its scope.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ._httpx import httpx
from .wire import Fields

__all__ = ["Sent", "is_token", "sent", "told"]

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# No byte that is refused in a value, no white space around it.
_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
# A host that the engine takes; it takes more.
_HOST = re.compile(rb"(?:[A-Za-z0-9._\-]*|\[[0-9A-Fa-f:.]+\])(?::\d{1,4})?")
# A longer method is refused, and CONNECT has no path.
_LONGEST_METHOD = 20
_ANY_METHOD = b"X-TESTCLIENT"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it is written, and the entries of the scope that say something else."""

    method: bytes
    target: bytes
    fields: Fields
    chunked: bool
    told: dict[str, Any]


def sent(request: httpx.Request, body: bytes) -> Sent:
    """Tell how a request with this body goes over the wire."""
    fields = _fields(request)
    written = [field for field in fields if _fits(*field)]
    hosts = [value for name, value in written if name == b"host"]
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        written = [(b"host", b"testserver"), *(field for field in written if field[0] != b"host")]
    lengths = [value for name, value in written if name == b"content-length"]
    codings = [value for name, value in written if name == b"transfer-encoding"]
    chunked = not lengths and codings == [b"chunked"]
    if not chunked and (codings or lengths != ([b"%d" % len(body)] if body or lengths else [])):
        written = [field for field in written if field[0] not in (b"content-length", b"transfer-encoding")]
        written.append((b"content-length", b"%d" % len(body)))
    told: dict[str, Any] = {}
    if written != fields:
        told["headers"] = fields
    method = request.method.encode()
    if not is_token(method) or len(method) > _LONGEST_METHOD or method == b"CONNECT":
        told["method"] = request.method
        method = _ANY_METHOD
    return Sent(method, request.url.raw_path, written, chunked, told)


def told(request: httpx.Request) -> dict[str, Any]:
    """Return what the scope of a WebSocket says of the request, whatever the handshake says."""
    offered = request.headers.get("sec-websocket-protocol")
    return {
        "headers": _fields(request),
        "subprotocols": [] if offered is None else [name.strip() for name in offered.split(",")],
    }


def is_token(text: bytes) -> bool:
    """Return whether it is a token (RFC 9110, 5.6.2): a method, a field's name, a subprotocol."""
    return _TOKEN.fullmatch(text) is not None


def _fields(request: httpx.Request) -> Fields:
    return [(name.lower().encode(), value.encode()) for name, value in request.headers.multi_items()]


def _fits(name: bytes, value: bytes) -> bool:
    """Return whether a connection takes the field, and takes no order from it."""
    if not (is_token(name) and _VALUE.fullmatch(value)):
        return False
    return name != b"upgrade" and (name != b"expect" or value.lower() == b"100-continue")
