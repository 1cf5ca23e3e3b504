"""Asking both faces of one application, and failing where they differ."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

from . import request as make
from .client import WireError
from .faces import OwnFace, ServedFace
from .reply import Reply, differences, explain, show_request, side_by_side
from .request import Request
from .trace import Trace

Factory = Callable[[Trace], Any]
PATIENCE = 60.0


class Different(AssertionError):
    """The two faces of an application did not do the same."""


class Both:
    """An application's two faces, each a fresh instance made by `factory`.

    Every request goes to both, in the same order; `Different` is raised where status, headers, body or trace are
    unequal. `mask` are patterns (bytes) of what may differ, such as a clock.
    """

    def __init__(self, factory: Factory, transport: str, *, mask: Sequence[bytes] = ()) -> None:
        self.transport = transport
        self.mask = mask
        self.asked = 0
        self.traces = (Trace(), Trace())
        self._compared = 0, 0
        self.served = ServedFace(factory(self.traces[1]), transport)
        try:
            self.own = OwnFace(factory(self.traces[0]), ("127.0.0.1", self.served.server.port))
        except BaseException:
            self.served.close()
            raise

    def ask(self, asked: Request) -> Reply:
        """Ask both; return the answer they agree on."""
        self.asked += 1
        address = self.served.client.address()
        own = self.own.ask(asked, address)
        try:
            served = self.served.ask(asked)
        except (WireError, OSError) as error:
            raise Different(
                f"{self.transport} gave no answer: {error}\n{show_request(asked)}\n"
                f"its own ASGI face answers {own.status} {own.body[:400]!r}"
            ) from error
        found = differences(asked, own, served, self.mask)
        if found:
            table = explain(asked, own, served, self.transport)
            raise Different(f"different: {', '.join(found)}\n{table}")
        self.compare_traces(asked)
        return own

    def compare_traces(self, asked: Request | None = None) -> None:
        """The served face may be behind with work after its answer: it gets time to catch up."""
        before, served_before = self._compared
        own = self.traces[0].notes()[before:]
        served = self.traces[1].wait(served_before + len(own), PATIENCE)[served_before:]
        # What has been compared is not compared again, so that one difference is found once.
        self._compared = before + len(own), served_before + len(served)
        if own == served:
            return
        shared = sum(1 for _ in itertools.takewhile(lambda two: two[0] == two[1], zip(own, served, strict=False)))
        table = side_by_side(f"own ASGI face | {self.transport}", [("trace", own[shared:], served[shared:])])
        when = show_request(asked) if asked else "(at the end)"
        raise Different(f"different: trace, after {shared} equal notes\n{when}\n{table}")

    def settle(self, asked: Request) -> Reply:
        """Ask again and again until the engine answers from a plan, which it makes anew after a change."""
        end = time.monotonic() + PATIENCE
        while True:
            before = self.served.server.fallbacks()
            reply = self.ask(asked)
            if before is None or self.served.server.fallbacks() == before:
                return reply
            if time.monotonic() > end:
                raise Different(f"{self.transport} still answers as a fallback\n{show_request(asked)}")

    def change(self, act: Callable[[Any], None]) -> None:
        """Change both applications while they run, from outside."""
        act(self.own.app)
        act(self.served.app)

    def close(self) -> None:
        """Stop both; what they did at their end must be equal, too."""
        try:
            self.served.close()
        finally:
            self.own.close()
        self.compare_traces()

    # Shorthands

    def get(self, *args: Any, **more: Any) -> Reply:
        return self.ask(make.get(*args, **more))

    def head(self, *args: Any, **more: Any) -> Reply:
        return self.ask(make.head(*args, **more))

    def options(self, *args: Any, **more: Any) -> Reply:
        return self.ask(make.options(*args, **more))

    def post(self, *args: Any, **more: Any) -> Reply:
        return self.ask(make.post(*args, **more))

    def put(self, *args: Any, **more: Any) -> Reply:
        return self.ask(make.put(*args, **more))

    def patch(self, *args: Any, **more: Any) -> Reply:
        return self.ask(make.patch(*args, **more))

    def delete(self, *args: Any, **more: Any) -> Reply:
        return self.ask(make.delete(*args, **more))
