"""The application's middleware as layers around each compiled route."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from ..errors import Errors
from ..facts import RouteFacts
from ..internals import Known, Piece, Stack, install_gate
from ..plans import Arg, HotPlan, Stage
from ..scope import Surroundings
from .cors import cors
from .dispatch import dispatching, sheltered
from .failures import Failures
from .foreign import foreign
from .gzip import gzip
from .line import Line, Step
from .reply import Failed, Layer
from .requests import hosts, https
from .rest import files, missing, rest
from .route import Route
from .session import session

__all__ = ["Chain"]

_NATIVE: dict[Known, Callable[[Any], Step]] = {
    "cors": cors,
    "gzip": gzip,
    "hosts": hosts,
    "https": https,
    "session": session,
}

_log = logging.getLogger("turboapi.error")


class Chain:
    """Makes the plan of a route with the application's middleware from its plan without."""

    def __init__(self, stack: Stack, around: Surroundings, errors: Errors) -> None:
        self._stack = stack
        self._around = around
        self._errors = errors
        # By their places; what they have learned is for all routes.
        self._steps: dict[int, Step] = {}
        self._reads = any(piece.kind in ("dispatch", "foreign") for piece in stack.pieces)
        if any(piece.kind == "foreign" for piece in stack.pieces):
            install_gate(stack.exceptions)

    def wrap(self, plan: HotPlan, facts: RouteFacts, *, body: str, lasts: bool) -> HotPlan:
        """Return the plan whose one stage is all of the middleware.

        body: the kind of body in the table. lasts: it goes on after its answer.
        """
        failures = Failures(self._stack, self._around, self._errors, facts, body=body)
        route = Route(facts, plan, self._around, failures, body=body != "none", reads=self._reads)
        layer: Layer = route.layer
        if lasts and self._stack.pieces[-1].kind == "dispatch":
            layer = sheltered(layer)
        # What the innermost ones raise over the route's answer is the route's, as long as nothing else has sent it.
        stage = Stage(self._entrance(self._surrounded(layer, failures.unsent)), "loop", coroutine=True)
        return plan._replace(stages=(stage,), args=(Arg("proxy"),), encode=None, plain=False, inner=plan)

    def files(self, plan: HotPlan, facts: RouteFacts) -> HotPlan:
        """Return the plan of a mount of files. plan: its one stage looks them up, see `rest.files`."""
        look = plan.stages[0].call
        layer = files(facts.route, dict(self._around.scope), look, rest(self._stack.exceptions))
        if self._stack.pieces[-1].kind == "dispatch":
            layer = sheltered(layer)
        stage = Stage(self._entrance(self._surrounded(layer, None), noted=True), "loop", coroutine=True)
        return plan._replace(stages=(stage,), inner=plan)

    def leftovers(self, name: str, ready: dict[str, Any] | None, *, all_known: bool) -> list[HotPlan]:
        """Return the plans of what no route takes: of all of it, and (all_known) of paths that no route matches.

        name: of the application. ready: the answer to the latter, see `missing`. all_known: the table has all routes.
        """
        layers = [rest(self._stack.exceptions)]
        if all_known:
            layers.append(missing(self._stack, dict(self._around.scope), ready, layers[0]))
        if self._stack.pieces[-1].kind == "dispatch":
            # A ready answer is nothing to wait for, and what middleware has changed is rare.
            layers = [layer if index and ready else sheltered(layer) for index, layer in enumerate(layers)]
        plans = []
        for layer in layers:
            plan = HotPlan.of_proxy(self._entrance(self._surrounded(layer, None), noted=True), name)
            plans.append(plan._replace(inner=plan))
        return plans

    def _surrounded(self, layer: Layer, failed: Failed | None) -> Layer:
        last = len(self._stack.pieces) - 1
        for index, piece in enumerate(reversed(self._stack.pieces)):
            if piece.kind == "foreign":
                layer = foreign(piece.middleware, layer, self._stack.exceptions)
            elif piece.kind != "dispatch":
                layer = Line.around(self._step(index, piece), layer, failed)
                continue
            elif index == last:
                layer = dispatching(piece.middleware, layer, self._errors.escaped)
            else:
                layer = dispatching(piece.middleware, layer)
            failed = None
        return layer

    def _step(self, index: int, piece: Piece) -> Step:
        if index not in self._steps:
            self._steps[index] = _NATIVE[cast("Known", piece.kind)](piece.middleware)
        return self._steps[index]

    def _entrance(self, layer: Layer, *, noted: bool = False) -> Callable[[Any], Any]:
        """noted: the Request that an exception handler would get is this one."""
        base = {name: value for name, value in self._around.scope.items() if name in ("app", "root_path")}
        escaped = self._errors.escaped
        outside = self._stack.outside

        def enter(proxy: Any) -> Any:
            scope = proxy.scope()
            scope.update(base)
            if noted:
                proxy.request = Request(scope, proxy.receive, proxy.send)
            return layer(proxy, scope, proxy.receive, proxy.send)

        if self._stack.pieces[0].kind == "dispatch":
            return enter

        async def guarded(proxy: Any) -> Response | None:
            try:
                response: Response | None = await enter(proxy)
            except Exception as exc:
                if not outside:
                    return await escaped(proxy, exc)
                if not proxy.failed(exc):
                    _log.error("Exception in ASGI application\n", exc_info=exc)
                return None
            return response

        return guarded
