"""What the plan compiler gives to the engine: plans, the route table, and what to watch.

The shapes are those of `docs/internals/contracts.md`; the C side reads the
attributes by name. Everything here is immutable and holds no state of a request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

__all__ = ["Arg", "CompiledApp", "Cors", "Fallback", "HotPlan", "MiddlewareReport", "RouteReport", "Stage", "Watch"]


class Fallback(NamedTuple):
    """Why something has no plan. The text completes "fallback: ..."."""

    reason: str


class Stage(NamedTuple):
    """One call on one lane.

    call: the first stage gets the plan's arguments, each later one the result before it.
    coroutine: the call returns a coroutine that the lane runs; it may raise before it returns one.
    """

    call: Callable[..., Any]
    lane: Literal["loop", "call"]
    coroutine: bool


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument of the first stage.

    source: "slot" (the plan's parameter number `index`), "proxy", "body" (bytes) or "const" (`default`).
    default: the value of a slot that was not sent.
    name: None for a positional argument.
    """

    source: Literal["slot", "proxy", "body", "const"]
    index: int = 0
    default: Any = None
    name: str | None = None


class HotPlan(NamedTuple):
    """How one route is called and how its result becomes bytes.

    encode: the last stage's result to JSON bytes (sent with `status` and `media`) or to a Response.
    plain: exact dict, list, str, int, float, bool and None may be written without `encode`.
    inner: the route's own plan, where this one is the middleware around it: its one stage calls the inner
    stages through the proxy, and gives the response, or None when it has sent it.
    """

    stages: tuple[Stage, ...]
    args: tuple[Arg, ...]
    encode: Callable[[Any], Any] | None
    plain: bool
    status: int
    media: bytes
    name: str
    inner: HotPlan | None = None

    @classmethod
    def of_proxy(cls, call: Callable[..., Any], name: str, *, status: int = 200) -> HotPlan:
        """Return the plan of a coroutine function that gets the exchange, and gives a response if it has sent none."""
        stage = Stage(call, "loop", coroutine=True)
        return cls((stage,), (Arg("proxy"),), None, plain=False, status=status, media=b"", name=name)


@dataclass(frozen=True, slots=True)
class RouteReport:
    """What became of one route: outcome is "compiled" or "fallback: reason".

    kind: what it takes. "http" is a route for requests, "mount" and "host" lead to an application, "unknown" says for
    itself what it takes. path: of a host "//" and its name. target: the function or application behind it, as
    module.name; empty where it has no name.
    """

    path: str
    methods: tuple[str, ...] | None
    name: str
    outcome: str
    kind: Literal["http", "websocket", "mount", "host", "unknown"] = "http"
    target: str = ""


@dataclass(frozen=True, slots=True)
class MiddlewareReport:
    """What became of one middleware: outcome is "compiled" or "ASGI" (it runs as it is, and so does what it calls)."""

    name: str
    outcome: str


class Watch(NamedTuple):
    """Mutable things that plans were made from; a change of any of them means: compile again.

    Lists are compared by length and identity of their members, dicts by length
    and identity of keys and values, attributes (object, name) by identity.
    """

    lists: tuple[list[Any], ...] = ()
    dicts: tuple[dict[Any, Any], ...] = ()
    attrs: tuple[tuple[Any, str], ...] = ()


class Cors(Protocol):
    """The application's CORSMiddleware as a function of response headers."""

    @property
    def always(self) -> bool:
        """Whether answers to requests without Origin change too (newer Starlette adds Vary to them)."""

    def __call__(
        self, origin: str | None, headers: list[tuple[bytes, bytes]], has_cookie: bool, /
    ) -> list[tuple[bytes, bytes]]:
        """Return the raw headers that are sent instead of `headers`."""


class CompiledApp(NamedTuple):
    """A FastAPI application as the engine runs it.

    version: the table's number, another one for each that is made. table: the route table (JSON).
    plans: by their id in the table. cors: None without CORSMiddleware.
    errors: answers exceptions of compiled routes (`_hot.Errors`); None where there are none.
    middleware: outermost first.
    notice: a sentence for the log where the whole application is a fallback, else None.
    """

    version: int
    table: bytes
    plans: tuple[HotPlan, ...]
    report: tuple[RouteReport, ...]
    watch: Watch
    cors: Cors | None = None
    errors: Any = None
    middleware: tuple[MiddlewareReport, ...] = ()
    notice: str | None = None
