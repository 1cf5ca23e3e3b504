"""The hot path (C): what `turboapi.engine._load.hot()` returns. The implementation stands in gosrc/hot."""

from asyncio import AbstractEventLoop, Future
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from contextvars import Context
from typing import Any, Literal, Protocol

class Fallback(Exception):
    """Raised by a plan's entry point, before any side effect: FastAPI itself has to answer this request."""

class ClientDisconnected(OSError):
    """Raised by the `send` of a WebSocket whose client has left."""

class Exchange:
    """One request and its response as Python sees them: the proxy. It may outlive the exchange.

    Methods that need a living exchange behave as after `http.disconnect` once it is over.
    """

    @property
    def receive(self) -> Callable[[], Awaitable[dict[str, Any]]]: ...
    @property
    def send(self) -> Callable[[MutableMapping[str, Any]], Awaitable[None]]: ...
    request: Any
    """What an entry leaves for exception handlers, so that they get the same Request; None at first."""

    @property
    def started(self) -> bool:
        """Whether the head of a response was sent through `send`."""

    @property
    def disconnected(self) -> bool:
        """Whether the client has left, or the exchange is over."""

    def scope(self) -> dict[str, Any]:
        """Return the ASGI HTTP scope, with uvicorn's keys, types and order; the same dict each time."""

    def on_gone(self, callback: Callable[[], None], /) -> None:
        """Call `callback` once when the client leaves, at once where it has."""

    def begin(self, status: int, raw_headers: Sequence[tuple[bytes, bytes]], /) -> None:
        """Begin the response without an ASGI message; `write` and `end` go on. Loop's thread, as these."""

    def write(self, chunk: bytes | memoryview, /) -> Awaitable[None] | None:
        """Add to the body. Returns what to await before the next chunk, None where that is nothing."""

    def end(self) -> None:
        """Complete the response."""

    def hear_text(self) -> Awaitable[str | None]:
        """Wait for an accepted WebSocket's next message: its text; None where `receive` gives something else now."""

    def hear_bytes(self) -> Awaitable[bytes | None]:
        """Do the same for a binary message."""

    def say_text(self, data: str, /) -> Awaitable[None] | Literal[False] | None:
        """Send a text message. Returns what to await, None where that is nothing; False: not sent, `send` says why."""

    def say_bytes(self, data: bytes, /) -> Awaitable[None] | Literal[False] | None:
        """Send a binary message in the same way."""

    def body(self) -> bytes | None:
        """Return the buffered body of a plan that takes one; None where files of it are on disk."""

    def call(self, stage: int, argument: Any, /) -> Any:
        """Run one stage of the route's plan, for the middleware whose plan is around it. Loop's thread.

        argument: what the stage before gave; unused for the first. A stage of the loop lane gives what its call
        returned, a coroutine where the stage says so. One of the call lane gives a future: of what follows it there,
        encoded if that was the last. Raises RuntimeError while such a future is not done.
        """

    def encode(self, result: Any, /) -> Any:
        """Return the last stage's result as bytes (the plan's status and media) or as a Response."""

    def matches(self, scope: dict[str, Any], root_path: str | None, /) -> bool:
        """Whether a scope says what was received. root_path: what it has to be, None: the server's."""

    def enter(self, scope: dict[str, Any], receive: Any, send: Any, /) -> None:
        """Let `scope()`, `receive` and `send` give these: what middleware hands on to the route."""

    def make(self, result: object, /) -> Any:
        """Return what the plan makes of a handler's result: bytes, or a Response."""

    def answer(self, made: object, /) -> bool:
        """Send what `make` gave, and go on: the exchange lasts until the stage ends.

        Returns False where nothing was sent, because the response has to be awaited or the loop is at it. A Response's
        background is not looked at. A stage on the call lane may then return a Response whose `__call__` does the rest.
        """

    def sending(self, response: Any, /) -> Awaitable[None]:
        """Return what sends a Response that `answer` does not take, its background task included. Loop's thread.

        Its task's exchange lasts; the stage returns the proxy, which tells that it has sent the answer itself.
        """

    def leave_to_thread(self, tasks: Any, /) -> Exchange:
        """Have a call thread run background tasks, all of them sync, after the answer has left. Loop's thread, after
        `answer`; nothing of the exchange follows, and the stage returns what this returns.
        """

    def run(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call on a call thread, in a copy of the current context. Loop's thread, while the exchange lasts.

        Cancelling the future does not end the call. It never waits for anything but threads: no request is refused.
        """

    def run_beyond(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """`run` that the limit of call threads does not hold back: for what gives back what others wait for."""

    def form(self) -> list[tuple[str, str] | tuple[str, str, list[tuple[bytes, bytes]], bytes | int, int]]:
        """Return the parts of a form body, in order: (name, value) of a text, or of a file (name, filename, its
        fields, content, size). The content of a large file is the number of a descriptor; it stays the exchange's.
        """

    def form_taken(self) -> None:
        """Close the exchange's descriptors of files: the caller has its own, and cannot decline any more."""

    def header(self, name: bytes, /) -> bytes | None:
        """Return the first value of the field `name` (lower case), or None."""

    def failed(self, exc: BaseException, /) -> bool:
        """Tell that `exc` has left the application; return whether a test client takes it, so that it is not logged."""

class Errors(Protocol):
    """How exceptions of compiled routes become responses."""

    def quick(self, proxy: Exchange, exc: BaseException, /) -> Any | None:
        """Return a Response without awaiting anything, or None. Called on the lane that raised."""

    def handle(self, proxy: Exchange, exc: BaseException, /) -> Coroutine[Any, Any, Any | None]:
        """Return a coroutine for the loop lane that gives a Response, or None when it has answered itself."""

class Probe(Protocol):
    """What a test client sees of the requests of its server, told apart by the port of the client's connection.

    Methods are called with the GIL on any lane and return soon; what they raise is reported as unraisable.
    root_path: what the scopes will have, though their paths need not begin with it.
    """

    root_path: str

    def began(self, port: int, /) -> tuple[Context, bool] | None:
        """The request is the application's now. `ended` follows. Never called where the engine answers by itself.

        Returns the context that everything of the request runs in, and whether it may run from a plan; None is the
        server's own context, and yes.
        """

    def scope(self, port: int, scope: dict[str, Any], /) -> None:
        """Change a new scope before the application sees it."""

    def failed(self, port: int, exc: BaseException | None, /) -> bool:
        """`exc` has left the application; None: it ended without an answer. True keeps it out of the log."""

    def message(self, port: int, message: MutableMapping[str, Any], /) -> None:
        """The application sent an http.response.debug, a websocket.close instead of accepting, or something in a
        conversation that the client has left.
        """

    def ended(self, port: int, /) -> None:
        """Nothing runs for the request any more. Its answer may still be on its way."""

class Server:
    """The Python half of one server. Everything but `lane_main` and `stats` belongs to the loop's thread."""

    def __init__(
        self,
        handle: int,
        fd: int,
        *,
        loop: AbstractEventLoop,
        app: Callable[..., Any],
        state: dict[str, Any],
        root_path: str,
        errors: Errors,
        task_type: type[Any],
        eager: bool,
        limit: int,
        queue_limit: int,
        spawn: Callable[[], None],
        on_change: Callable[[], None],
        on_exit: Callable[[BaseException], None],
        log: Callable[[int, str, BaseException | None], None],
        extensions: tuple[str, ...],
    ) -> None:
        """Make the Python half of the core `handle` (what `engine_Open` gave), whose wake-up descriptor is `fd`.

        Calls run in copies of the context that is current here.
        state: the lifespan's state; every scope gets a shallow copy.
        root_path: the ASGI root_path; scope["path"] is root_path + path, as in uvicorn.
        task_type: called as task_type(coro, loop=loop[, eager_start=True]); eager_start only when `eager`.
        limit: call threads at most. queue_limit: calls that may wait for a thread; beyond it 503.
        spawn: start one more call thread, which will call lane_main() once. Raises RuntimeError where no
            thread can be started, which is logged.
        on_change: something that a plan was made from has changed (see set_plans). Called between
            requests on the loop's thread, returns soon, and usually ends in a new set_plans().
        on_exit: a handler raised SystemExit or KeyboardInterrupt; called after the batch was flushed.
        log: log(level, message, exception or None), level as in `logging`; logger turboapi.error.
        extensions: names of the ASGI extensions that every scope announces.
        """

    def fd(self) -> int:
        """Return the descriptor to watch: readable when turn() has work."""

    def turn(self) -> None:
        """Take what the engine has read, run it, hand back what is answered. Never blocks.

        A turn inside a turn does nothing.
        """

    def wake(self, futures: list[Any]) -> None:
        """Give each future a result that has none: what another thread asks the loop for. The hot path schedules it."""

    def flush(self) -> None:
        """Hand the answers made outside a turn to the engine. The hot path schedules it by itself."""

    def set_plans(self, version: int, plans: Sequence[Any], watch: Any, cors: Any = None) -> None:
        """Install the plans of route table `version`, from the next turn on.

        Called before the engine gets the table. An exchange routed by another version runs as fallback.
        """

    def set_probe(self, probe: Probe) -> None:
        """Let a test client look through `probe`, from the next request on."""

    def set_limit(self, limit: int) -> None:
        """Change the number of call threads at most; surplus threads end when they are idle."""

    def lane_main(self) -> None:
        """Be a call thread until the lane has too many of them, or stop_lane()."""

    def stop_lane(self) -> None:
        """Let every call thread end after its current handler. Any thread."""

    def in_flight(self) -> int:
        """Return the exchanges that a lane still owns, waiting ones and background work included."""

    def cancel_of(self, port: int) -> int:
        """Cancel the running tasks of the client whose port this is, and return how many there were."""

    def cancel_all(self) -> None:
        """Cancel every running task, and answer the calls that still wait for a thread with 503."""

    def stats(self) -> dict[str, int]:
        """Return counters: requests, fallbacks, turns, calls, threads, queued, waited_1ms and more. Any thread."""

    def close(self) -> None:
        """Forget loop, app and callbacks. Later turns do nothing; a late answer of a call thread is dropped."""
