"""Starlette's own middleware that follow each other, as one layer.

Each is a step, which says what it does before the application runs and what
becomes of its answer. Where it does not know, its own code runs (`own.py`), with
the `send` of the steps outside of it: the only place where there are more objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from .own import Own
from .reply import Failed, Hears, Layer, RawHeaders, send_messages, send_value

__all__ = ["Line", "Passing", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One middleware.

    before: prepare a request; False: its own code must be asked. passed: remember that this had no answer of its own.
    after: what becomes of a value, None: its own code must be asked. Without one, answers are no business of its own.
    """

    middleware: Any
    before: Callable[[Passing], bool] | None = None
    passed: Callable[[Passing], None] | None = None
    after: Callable[[Passing, Response], Response | None] | None = None
    own: type[Own] = Own


class Line:
    """Steps, outermost first, around a layer."""

    __slots__ = ("_afters", "_befores", "_below", "_failed", "_steps")

    def __init__(self, steps: Sequence[Step], below: Layer, failed: Failed | None) -> None:
        """Put them around it. failed: see `Own.answer`."""
        numbered = list(enumerate(steps))
        self._steps = tuple(steps)
        self._befores = tuple((index, step.before) for index, step in numbered if step.before is not None)
        self._afters = tuple((index, step.after) for index, step in reversed(numbered) if step.after is not None)
        self._below = below
        self._failed = failed

    @classmethod
    def around(cls, step: Step, below: Layer, failed: Failed | None) -> Line:
        """Return a step around a layer; it is one line with steps that are there already."""
        if type(below) is cls:
            return cls((step, *below._steps), below._below, below._failed)
        return cls((step,), below, failed)

    async def __call__(self, proxy: Any, scope: Any, receive: Any, send: Any) -> Response | None:
        """Answer as the layer of a chain."""
        afters = self._afters
        passing = Passing(self._steps, afters, proxy, scope, receive, send)
        try:
            for index, before in self._befores:
                if before(passing):
                    continue
                own = passing.asked(index)
                if own is not None:
                    value = await own.answered()
                    afters = tuple(each for each in afters if each[0] < index)
                    break
            else:
                value = await self._below(proxy, scope, receive, passing if afters else send)
            for index, after in afters:
                if value is None:
                    return None
                done = after(passing, value)
                value = done if done is not None else await passing.own(index).answer(value, proxy, self._failed)
            return value
        finally:
            if passing.owns:
                passing.end()


class Passing(Hears):
    """One request in a line; itself the `send` of what is below.

    headers: those that came. fields: the first of each name. owns: of the outermost steps, what they send through.
    """

    __slots__ = ("_afters", "_proxy", "_receive", "_send", "_steps", "fields", "headers", "owns", "scope")

    def __init__(self, steps: tuple[Step, ...], afters: Any, proxy: Any, scope: Any, receive: Any, send: Any) -> None:
        """Begin. Headers that are put into the scope from now on are not these steps'."""
        headers = scope["headers"]
        if type(headers) is not list:
            headers = scope["headers"] = list(headers)
        self.headers: RawHeaders = headers
        try:
            self.fields: dict[bytes, bytes] = dict(headers[::-1])
        except TypeError:  # names of another type, put there by somebody
            self.fields = {bytes(name): value for name, value in headers[::-1]}
        self.scope = scope
        self.owns: list[Any] | None = None
        self._steps = steps
        self._afters = afters
        self._proxy = proxy
        self._receive = receive
        self._send = send

    def each(self, name: bytes) -> list[bytes]:
        """Return all fields of a name."""
        if len(self.fields) != len(self.headers):
            return [text for each, text in self.headers if each == name]
        return [self.fields[name]] if name in self.fields else []

    async def __call__(self, message: Any) -> None:
        """Hear a message of what is below."""
        await self.own(len(self._steps) - 1)(message)

    async def whole(self, reply: Any) -> None:
        """Hear a whole response: it is a value to the steps, as long as no own code of theirs is at work."""
        if self.owns is not None:
            await send_messages(reply, self)
            return
        for index, after in self._afters:
            done = after(self, reply)
            if done is None:
                await send_messages(reply, self.own(index))
                return
            reply = done
        await send_value(self._proxy, reply, self._send)

    def own(self, index: int) -> Any:
        """Return the own code of a step; the `send` outside of it for one that has no business with answers."""
        if self.owns is None:
            self.owns = []
        while len(self.owns) <= index:
            step = self._steps[len(self.owns)]
            send = self.owns[-1] if self.owns else self._send
            self.owns.append(send if step.after is None else self._made(step, send))
        return self.owns[index]

    def asked(self, index: int) -> Own | None:
        """Ask the own code of a step about the request. Returns what has answered by itself, see `Own.answered`."""
        step = self._steps[index]
        own: Own = self.own(index)
        if step.after is None:
            own = self._made(step, own)
            goes_on = own.passes()
        else:
            goes_on = own.begin()
        if not goes_on:
            return own
        if step.passed is not None:
            step.passed(self)
        return None

    def end(self) -> None:
        """Let go of what stands still."""
        for own in self.owns or ():
            if isinstance(own, Own):
                own.end()

    def _made(self, step: Step, send: Any) -> Own:
        return step.own(step.middleware, self.scope, self._receive, send, self.headers)
