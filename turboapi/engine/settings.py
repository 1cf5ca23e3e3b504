"""The settings of one server: names, defaults, what is accepted, and their form for the engine."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, TypedDict

__all__ = ["Options", "Settings"]

LoopName = Literal["auto", "uvloop", "asyncio"]
TransportName = Literal["auto", "reactor", "fasthttp"]
LifespanMode = Literal["auto", "on", "off"]
LevelName = Literal["critical", "error", "warning", "info", "debug"]

LEVELS: dict[str, int] = {"critical": 50, "error": 40, "warning": 30, "info": 20, "debug": 10}


class _Accepts(NamedTuple):
    """What a setting accepts: values of these types for which `fine` holds; `text` says so to people.

    A bool is no int here, although Python has it so.
    """

    types: tuple[type, ...]
    text: str
    fine: Callable[[Any], bool] = lambda _: True

    def error(self, value: Any) -> type[Exception] | None:
        """Return the class of exception that a value deserves, None for one that is accepted."""
        if not isinstance(value, self.types) or (isinstance(value, bool) and bool not in self.types):
            return TypeError
        return None if value is None or self.fine(value) else ValueError


def _or_none(accepts: _Accepts) -> _Accepts:
    return _Accepts((*accepts.types, type(None)), f"{accepts.text}, or None", accepts.fine)


def _whole(low: int, high: int) -> _Accepts:
    return _Accepts((int,), f"an integer from {low} to {high}", lambda value: low <= value <= high)


def _seconds(low: float, high: float = 1e6) -> _Accepts:
    return _Accepts(
        (float, int), f"a number of seconds from {low:g} to {high:g}", lambda value: bool(low <= value <= high)
    )


def _choice(*names: str) -> _Accepts:
    return _Accepts((str,), "one of " + ", ".join(repr(name) for name in names), lambda value: value in names)


def _is_field_value(value: str) -> bool:
    return value != "" and value == value.strip() and all(" " <= c <= "~" for c in value)


def _is_root_path(value: str) -> bool:
    return value == "" or (value.startswith("/") and not value.endswith("/"))


_FLAG = _Accepts((bool,), "True or False")
_TEXT = _Accepts((str,), "a string")
_FIELD_VALUE = _Accepts((str,), "printable ASCII text", _is_field_value)
# sun_path is 108 bytes, the last of them zero.
_UDS = _Accepts(
    (str,),
    "the path of a Unix socket, 1 to 107 bytes",
    lambda value: 1 <= len(value.encode("utf-8", "surrogateescape")) <= 107,
)
_ROOT_PATH = _Accepts((str,), "empty, or a path with a slash at its start and none at its end", _is_root_path)


def _setting(default: Any, accepts: _Accepts, about: str, *, unit: str = "") -> Any:
    return dataclasses.field(default=default, metadata={"accepts": accepts, "about": about, "unit": unit})


_BYTES = _whole(256, 1 << 40)
_COUNT = _whole(1, 1 << 31)


class Options(TypedDict, total=False):
    """The keyword arguments of `Server`, `App.run` and the command line, beside host, port and uds. See `Settings`."""

    loop: LoopName
    transport: TransportName
    lifespan: LifespanMode
    root_path: str
    log_level: LevelName | None
    access_log: bool
    backlog: int
    server_header: str | None
    date_header: bool
    limit_request_line: int
    limit_headers: int
    limit_fields: int
    limit_body: int | None
    limit_memory: int | None
    limit_connections: int | None
    timeout_header: float
    timeout_idle: float
    timeout_write: float
    timeout_stop: float
    ws_max_size: int
    ws_max_queue: int
    ws_ping_interval: float | None
    ws_ping_timeout: float | None
    ws_idle_timeout: float | None
    ws_per_message_deflate: bool
    call_threads: int | None
    call_queue: int
    switch_interval: float | None
    verify: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything about a server but its application. Made by `Settings.of`, which checks each value.

    Sizes are bytes, times are seconds. None, where it is accepted, means no limit unless said otherwise.
    """

    host: str | None = _setting(
        "127.0.0.1",
        _or_none(_TEXT),
        "address or name to listen on; '0.0.0.0' and '::' are every interface, None is both",
    )
    port: int = _setting(8000, _whole(0, 65535), "TCP port; 0 lets the system choose")
    uds: str | None = _setting(None, _or_none(_UDS), "listen on this Unix socket instead of host and port")
    loop: LoopName = _setting(
        "auto", _choice("auto", "uvloop", "asyncio"), "event loop; auto is uvloop where it is installed"
    )
    transport: TransportName = _setting(
        "auto", _choice("auto", "reactor", "fasthttp"), "what serves connections; auto is reactor on Linux"
    )
    lifespan: LifespanMode = _setting(
        "auto",
        _choice("auto", "on", "off"),
        "auto goes on when the application has no lifespan support, on does not",
    )
    root_path: str = _setting("", _ROOT_PATH, "path below which a proxy serves the application (ASGI root_path)")
    log_level: LevelName | None = _setting(
        None, _or_none(_choice(*LEVELS)), "level of the loggers turboapi.error and turboapi.access"
    )
    access_log: bool = _setting(True, _FLAG, "a line for every request, to the logger turboapi.access")
    backlog: int = _setting(2048, _whole(1, 65535), "connections that the system keeps until they are accepted")
    server_header: str | None = _setting(
        "turboapi", _or_none(_FIELD_VALUE), "value of the Server header field; None sends no such field"
    )
    date_header: bool = _setting(True, _FLAG, "send the Date header field")
    limit_request_line: int = _setting(8192, _BYTES, "longest request line; beyond it 414", unit="size")
    limit_headers: int = _setting(65536, _BYTES, "largest header section; beyond it 431", unit="size")
    limit_fields: int = _setting(200, _whole(1, 10_000), "most header fields of a request; beyond it 431")
    limit_body: int | None = _setting(
        64 * 1024 * 1024,
        _or_none(_whole(1, 1 << 40)),
        "largest request body that is buffered; beyond it 413",
        unit="size",
    )
    limit_memory: int | None = _setting(
        1 << 30,
        _or_none(_whole(1, 1 << 50)),
        "most memory for requests and answers under way; beyond it 503 for buffered bodies, and streams wait",
        unit="size",
    )
    limit_connections: int | None = _setting(None, _or_none(_COUNT), "most open connections; more wait to be accepted")
    timeout_header: float = _setting(10.0, _seconds(0.05), "a request's header section must be here after so long")
    timeout_idle: float = _setting(75.0, _seconds(0.05), "an idle keep-alive connection is closed after so long")
    timeout_write: float = _setting(
        30.0, _seconds(0.05), "a client that takes nothing of its answer is cut off after so long"
    )
    timeout_stop: float = _setting(
        30.0, _seconds(0), "running requests may take so long to finish when the server stops"
    )
    ws_max_size: int = _setting(
        16 * 1024 * 1024, _whole(1, 1 << 30), "largest WebSocket message, as decompressed; beyond it 1009", unit="size"
    )
    ws_max_queue: int = _setting(
        32, _whole(1, 1 << 20), "WebSocket messages that wait for their application until the client is read no further"
    )
    ws_ping_interval: float | None = _setting(
        20.0, _or_none(_seconds(0.05)), "a WebSocket client is sent a ping so often; None sends none"
    )
    ws_ping_timeout: float | None = _setting(
        20.0, _or_none(_seconds(0.05)), "a ping must be answered after so long, else the WebSocket is closed (1011)"
    )
    ws_idle_timeout: float | None = _setting(
        None, _or_none(_seconds(0.05)), "a WebSocket client that sends no message for so long is closed (1001)"
    )
    ws_per_message_deflate: bool = _setting(True, _FLAG, "compress WebSocket messages where the client can (RFC 7692)")
    call_threads: int | None = _setting(
        None,
        _or_none(_whole(1, 10_000)),
        "most threads for `def` handlers; None is the limit that the application gave AnyIO, else 256",
    )
    call_queue: int = _setting(4096, _whole(1, 1 << 24), "most `def` calls that may wait for a thread; beyond it 503")
    switch_interval: float | None = _setting(
        0.001, _or_none(_seconds(1e-6, 1.0)), "sys.setswitchinterval while run() serves; None leaves it as it is"
    )
    verify: bool = _setting(
        False, _FLAG, "run GET and HEAD requests through FastAPI too, answer with its answers, log differences"
    )

    @classmethod
    def of(cls, caller: str, values: dict[str, Any]) -> Settings:
        """Return the settings with these values. `caller` opens each message.

        Raises TypeError for an unknown name, TypeError or ValueError for a value that is not accepted.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        unknown = [name for name in values if name not in fields]
        if unknown:
            raise TypeError(_unknown(caller, unknown, fields))
        for name, value in values.items():
            accepts: _Accepts = fields[name].metadata["accepts"]
            error = accepts.error(value)
            if error is not None:
                raise error(f"{caller}: {name} must be {accepts.text}, not {value!r}")
        return cls(**values)

    @property
    def chosen_transport(self) -> Literal["reactor", "fasthttp"]:
        """Return the transport that `auto` stands for on this system."""
        if self.transport == "auto":
            return "reactor" if sys.platform == "linux" else "fasthttp"
        return self.transport

    def for_engine(self, listeners: Iterable[tuple[int, str]], *, log_level: int, access_log: bool) -> str:
        """Return the JSON that the engine opens a server with; its keys stand in docs/internals/contracts.md.

        listeners: (descriptor, "inet" | "inet6" | "unix") of each listening socket.
        """
        return json.dumps(
            {
                "version": 1,
                "transport": self.chosen_transport,
                "listeners": [{"fd": fd, "family": family} for fd, family in listeners],
                "access_log": access_log,
                "log_level": log_level,
                "server_header": self.server_header or "",
                "date_header": self.date_header,
                "limit_request_line": self.limit_request_line,
                "limit_headers": self.limit_headers,
                "limit_fields": self.limit_fields,
                "limit_body": _limit(self.limit_body),
                "limit_memory": _limit(self.limit_memory),
                "limit_connections": _limit(self.limit_connections),
                "timeout_header_ms": _milliseconds(self.timeout_header),
                "timeout_idle_ms": _milliseconds(self.timeout_idle),
                "timeout_write_ms": _milliseconds(self.timeout_write),
                "ws_max_size": self.ws_max_size,
                "ws_max_queue": self.ws_max_queue,
                "ws_ping_interval_ms": _limit_ms(self.ws_ping_interval),
                "ws_ping_timeout_ms": _limit_ms(self.ws_ping_timeout),
                "ws_idle_timeout_ms": _limit_ms(self.ws_idle_timeout),
                "ws_per_message_deflate": self.ws_per_message_deflate,
            }
        )


def _limit(value: int | None) -> int:
    return 0 if value is None else value


def _limit_ms(seconds: float | None) -> int:
    return 0 if seconds is None else _milliseconds(seconds)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _unknown(caller: str, unknown: list[str], known: Iterable[str]) -> str:
    import difflib  # for mistakes only

    known = list(known)
    names = ", ".join(repr(name) for name in unknown)
    near = difflib.get_close_matches(unknown[0], known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{caller}: unknown setting {names}.{hint} Accepted: {', '.join(known)}"
