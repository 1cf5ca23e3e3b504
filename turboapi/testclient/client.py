"""TestClient: the interface of Starlette's, served by the engine."""

from __future__ import annotations

import asyncio
import functools
import inspect
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urljoin

import starlette.exceptions
from anyio.from_thread import BlockingPortal

from ..engine import loops
from ..engine.settings import Options
from ._httpx import httpx
from .probe import Probe
from .running import Running, settings_of
from .servers import Servers
from .transport import Transport, Upgrade

if TYPE_CHECKING:
    from .websocket import WebSocketTestSession

__all__ = ["TestClient"]

_Data = Mapping[str, str | Iterable[str] | bytes]
_UNSET = httpx.USE_CLIENT_DEFAULT


class TestClient(httpx.Client):
    """Sends requests to an ASGI application that the engine serves in a thread, over a loopback socket.

    Arguments and behaviour are those of `starlette.testclient.TestClient`: exceptions that leave the application are
    raised in the caller (or answered 500 without `raise_server_exceptions`), a request returns when its background
    tasks are done, and the lifespan runs within `with` only, where `portal` runs functions on the application's loop.

    backend: asyncio is the only one. backend_options: `use_uvloop`, `loop_factory` and `debug`, as AnyIO has them;
    the loop is otherwise the one that `turboapi.Server` chooses.
    server_settings: settings of `turboapi.Server`, as {"transport": "fasthttp"}; see docs/running.md.
    """

    __test__ = False
    portal: BlockingPortal | None = None

    def __init__(
        self,
        app: Callable[..., Any],
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        backend: Literal["asyncio"] = "asyncio",
        backend_options: dict[str, Any] | None = None,
        cookies: httpx._types.CookieTypes | None = None,
        headers: dict[str, str] | None = None,
        follow_redirects: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
        *,
        server_settings: Options | None = None,
    ) -> None:
        if backend != "asyncio":
            raise ValueError(
                f"turboapi.testclient.TestClient: backend {backend!r}: the engine runs on asyncio; "
                "starlette.testclient.TestClient has other backends"
            )
        options = backend_options or {}
        self.async_backend = {"backend": backend, "backend_options": options}
        self.app = _asgi3(app)
        self.app_state: dict[str, Any] = {}
        settings = settings_of(server_settings)
        probe = Probe(state=self.app_state, client=client, root_path=root_path)
        make_loop = _loop_maker(options, settings.loop)
        asgi = self.app

        def start(lifespan: dict[str, Any] | None) -> Running:
            return Running(asgi, settings, probe, make_loop=make_loop, lifespan=lifespan)

        self._servers = Servers(start)
        transport = Transport(self._servers, raise_server_exceptions=raise_server_exceptions)
        weakref.finalize(self, transport.forget)
        if headers is None:
            headers = {}
        headers.setdefault("user-agent", "testclient")
        super().__init__(
            base_url=base_url, headers=headers, transport=transport, follow_redirects=follow_redirects, cookies=cookies
        )
        self._wire = transport

    def request(  # type: ignore[override]
        self,
        method: str,
        url: httpx._types.URLTypes,
        *,
        content: httpx._types.RequestContent | None = None,
        data: _Data | None = None,
        files: httpx._types.RequestFiles | None = None,
        json: Any = None,
        params: httpx._types.QueryParamTypes | None = None,
        headers: httpx._types.HeaderTypes | None = None,
        cookies: httpx._types.CookieTypes | None = None,
        auth: httpx._types.AuthTypes | httpx._client.UseClientDefault = _UNSET,
        follow_redirects: bool | httpx._client.UseClientDefault = _UNSET,
        timeout: httpx._types.TimeoutTypes | httpx._client.UseClientDefault = _UNSET,
        extensions: dict[str, Any] | None = None,
    ) -> httpx.Response:
        """Send a request; the arguments are `httpx.Client.request`'s. There are no timeouts."""
        if timeout is not _UNSET:
            warnings.warn(
                # Begins as Starlette's warning does, for the filters that are there for it.
                "You should not use the 'timeout' argument with the TestClient: it waits until the application is done",
                getattr(starlette.exceptions, "StarletteDeprecationWarning", DeprecationWarning),
                stacklevel=2,
            )
        return super().request(
            method,
            self._merge_url(url),
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def websocket_connect(
        self, url: str, subprotocols: Sequence[str] | None = None, **kwargs: Any
    ) -> WebSocketTestSession:
        """Return a session to be used with `with`. It needs the package websockets.

        kwargs: what `request` takes, such as headers, params and cookies.
        """
        headers = kwargs.setdefault("headers", {})
        headers.setdefault("connection", "upgrade")
        headers.setdefault("sec-websocket-key", "testserver==")
        headers.setdefault("sec-websocket-version", "13")
        if subprotocols is not None:
            headers.setdefault("sec-websocket-protocol", ", ".join(subprotocols))
        try:
            super().request("GET", urljoin("ws://testserver", url), **kwargs)
        except Upgrade as upgrade:
            return upgrade.session
        raise RuntimeError(f"turboapi.testclient.TestClient: {url!r} is not the URL of a WebSocket")

    def __enter__(self) -> Self:
        """Start the server and run the application's start-up. Raises what the start-up raised."""
        self.portal = self._servers.enter(self.app_state).portal
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel what is still being read, run the shutdown, and stop. Raises what the shutdown raised."""
        self.portal = None
        self._wire.abort()
        self._servers.leave()


def _asgi3(app: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
    """Return the application as ASGI 3: one of ASGI 2 is called with the scope alone, and gives the next callable."""
    if inspect.isclass(app):
        double = not hasattr(app, "__await__")
    else:
        call: Any = app
        while isinstance(call, functools.partial):
            call = call.func
        double = not (inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__))
    if not double:
        return app

    async def single(scope: Any, receive: Any, send: Any) -> None:
        await app(scope)(receive, send)

    return single


def _loop_maker(options: dict[str, Any], name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the loop that AnyIO's options for asyncio ask for. Raises TypeError for an unknown option."""
    unknown = set(options) - {"use_uvloop", "loop_factory", "debug"}
    if unknown:
        raise TypeError(f"turboapi.testclient.TestClient: unknown backend option {min(unknown)!r}")
    make: Callable[[], asyncio.AbstractEventLoop] = options.get("loop_factory") or loops.factory(
        name if "use_uvloop" not in options else "uvloop" if options["use_uvloop"] else "asyncio"
    )
    if not options.get("debug"):
        return make

    def debugging() -> asyncio.AbstractEventLoop:
        loop = make()
        loop.set_debug(True)
        return loop

    return debugging
