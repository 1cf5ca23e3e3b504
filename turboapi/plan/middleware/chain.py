"""The application's middleware as layers around each compiled route."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from ..errors import Errors
from ..facts import RouteFacts
from ..internals import Stack, install_gate
from ..plans import Arg, HotPlan, Stage
from ..scope import Surroundings
from .dispatch import dispatching
from .failures import Failures
from .foreign import foreign
from .reply import Layer
from .route import Route

__all__ = ["Chain"]


class Chain:
    """Makes the plan of a route with the application's middleware from its plan without."""

    def __init__(self, stack: Stack, around: Surroundings, errors: Errors) -> None:
        self._stack = stack
        self._around = around
        self._errors = errors
        self._reads = any(piece.kind in ("dispatch", "foreign") for piece in stack.pieces)
        if any(piece.kind == "foreign" for piece in stack.pieces):
            install_gate(stack.exceptions)

    def wrap(self, plan: HotPlan, facts: RouteFacts, *, body: bool) -> HotPlan:
        """Return the plan whose one stage is all of the middleware. body: the plan takes a buffered body."""
        failures = Failures(self._stack, self._around, self._errors, facts, body=body)
        layer: Layer = Route(facts, plan, self._around, failures, body=body, reads=self._reads)
        for piece in reversed(self._stack.pieces):
            if piece.kind == "foreign":
                layer = foreign(piece.middleware, layer)
            else:
                layer = dispatching(piece.middleware, layer)
        stage = Stage(self._entrance(layer), "loop", coroutine=True)
        return dataclasses.replace(plan, stages=(stage,), args=(Arg("proxy"),), encode=None, plain=False, inner=plan)

    def _entrance(self, layer: Layer) -> Callable[[Any], Any]:
        base = {name: value for name, value in self._around.scope.items() if name in ("app", "root_path")}
        escaped = self._errors.escaped

        async def middleware(proxy: Any) -> Response | None:
            scope = proxy.scope()
            scope.update(base)
            try:
                return await layer(proxy, scope, proxy.receive, proxy.send)
            except Exception as exc:
                return await escaped(proxy, exc)

        return middleware
