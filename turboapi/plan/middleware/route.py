"""A compiled route at the bottom of a chain of middleware.

The plan's stages are called here, and what they give becomes a response as it
does in FastAPI: inside all middleware, the exception handlers included. Where the
middleware has changed what the plan was chosen by, FastAPI's own router answers.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from starlette.responses import Response

from ..facts import RouteFacts
from ..internals import host_taken, pass_gate, route_path
from ..plans import HotPlan
from ..scope import Surroundings
from .failures import Failures, Sender
from .reply import Reply, is_value

__all__ = ["Route"]


class Route:
    """A route's plan as a layer."""

    __slots__ = (
        "_asks",
        "_body",
        "_convertors",
        "_decline",
        "_encoded",
        "_entries",
        "_exceptions",
        "_failures",
        "_first_waits",
        "_hosts",
        "_later",
        "_match",
        "_media",
        "_methods",
        "_reads",
        "_root",
        "_status",
    )

    def __init__(
        self, facts: RouteFacts, plan: HotPlan, around: Surroundings, failures: Failures, *, body: bool, reads: bool
    ) -> None:
        """Make it from a plan. body: it takes one. reads: the middleware may read or change what is received."""
        self._body = body and reads
        self._convertors = facts.route.param_convertors
        self._match = facts.route.path_regex.match
        self._decline = around.decline
        self._entries = around.entries(facts)
        self._root = self._entries.get("root_path")
        self._exceptions = failures.exceptions
        self._failures = failures
        self._hosts = host_taken(facts.hosts) if facts.hosts else None
        self._reads = reads
        # Its code has receive and send from the proxy, if at all.
        self._asks = any(arg.source == "proxy" for arg in plan.args)
        self._media = (b"content-type", plan.media)
        self._status = plan.status
        waits = [stage.coroutine or stage.lane == "call" for stage in plan.stages]
        lanes = [stage.lane for stage in plan.stages]
        self._first_waits = waits[0]
        # The call lane encodes what its last stage gives.
        self._encoded = lanes[-1] == "call"
        # Calls that follow each other on the call lane are made there, without coming back in between.
        self._later = tuple(
            (index, waits[index]) for index in range(1, len(lanes)) if not lanes[index - 1] == lanes[index] == "call"
        )

    async def layer(self, proxy: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        """Answer as the innermost layer of a chain."""
        if self._reads and ("router" in scope or not proxy.matches(scope, self._root)):
            await pass_gate(self._exceptions, scope, receive, send)
            return None
        if self._hosts is not None and self._hosts(proxy.header(b"host")):
            await pass_gate(self._exceptions, scope, receive, send)
            return None
        if self._body:
            whole = proxy.body()
            if whole is None:  # a large upload, which nobody should read into memory to compare it
                await pass_gate(self._exceptions, scope, receive, send)
                return None
            messages = await _read(receive)
            if not _is_body(messages, whole):
                await pass_gate(self._exceptions, scope, _Replay(messages, receive), send)
                return None
        scope.update(self._entries)
        scope["path_params"] = self._path_params(scope) if self._convertors else {}
        sender = self._enter(proxy, scope, receive, send) if self._asks else None
        try:
            value = proxy.call(0, None)
            if self._first_waits:
                value = await value
            for index, waits in self._later:
                value = proxy.call(index, value)
                if waits:
                    value = await value
            if value is proxy:
                return None  # it goes on after its answer, and has sent it
            if not self._encoded:
                value = proxy.encode(value)
        except self._decline:
            if self._body:
                receive = _Replay(messages, receive)
            await pass_gate(self._exceptions, scope, receive, send)
            return None
        except Exception as exc:
            if sender is None:
                sender = self._enter(proxy, scope, receive, send)
            return await self._failures.answer(proxy, exc, scope, receive, sender)
        if type(value) is bytes:
            length = (b"content-length", b"%d" % len(value))
            return Reply(self._status, [length, self._media], value, length)
        if is_value(value):
            done: Response = value
            return done
        if sender is None:
            sender = self._enter(proxy, scope, receive, send)
        return await self._failures.send(proxy, value, scope, receive, sender)

    def _enter(self, proxy: Any, scope: Any, receive: Any, send: Any) -> Sender:
        """Have the route send through the middleware."""
        sender = Sender(proxy, send)
        proxy.enter(scope, receive, sender)
        return sender

    def _path_params(self, scope: Any) -> dict[str, Any]:
        found = self._match(route_path(scope))
        convertors = self._convertors
        return {name: convertors[name].convert(text) for name, text in found.groupdict().items()}


async def _read(receive: Any) -> list[Any]:
    """Return the messages of the whole body, or those up to the client's departure."""
    messages = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request" or not message.get("more_body", False):
            return messages


def _is_body(messages: list[Any], body: bytes) -> bool:
    """Tell whether these messages are a whole body, and that one."""
    if messages[-1]["type"] != "http.request":
        return False
    found: bool = b"".join([each.get("body", b"") for each in messages]) == body
    return found


class _Replay:
    """A receive that gives what was received before, first."""

    __slots__ = ("_messages", "_receive")

    def __init__(self, messages: list[Any], receive: Any) -> None:
        self._messages = deque(messages)
        self._receive = receive

    async def __call__(self) -> Any:
        return self._messages.popleft() if self._messages else await self._receive()
