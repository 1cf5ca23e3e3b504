"""From httpx's requests to requests of the engine, and back: answers, and what the application raised."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ._httpx import httpx
from .probe import Call
from .running import Running
from .sent import sent
from .servers import Servers
from .wire import Connection

if TYPE_CHECKING:
    from .websocket import WebSocketTestSession

__all__ = ["Transport", "Upgrade"]

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class Upgrade(Exception):
    """Not an error: the way of a WebSocket session through httpx."""

    def __init__(self, session: WebSocketTestSession) -> None:
        self.session = session


class Transport(httpx.BaseTransport):
    """Sends each request over a connection of its own, kept for the next one. Any number of threads may use it.

    It lives longer than a client that was forgotten, so it knows nothing of the client itself.
    """

    def __init__(self, servers: Servers, *, raise_server_exceptions: bool) -> None:
        self.raise_server_exceptions = raise_server_exceptions
        self.servers = servers
        self._lock = threading.Lock()
        self._idle: list[tuple[Running, Connection]] = []
        self._streams: weakref.WeakSet[_Stream] = weakref.WeakSet()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the engine, and return once the answer's head is here. Raises what left the application before it."""
        call = call_of(request)
        if call.scheme in ("ws", "wss"):
            from .websocket import WebSocketTestSession

            raise Upgrade(WebSocketTestSession(request, self.servers, call))
        body = request.read()
        what = sent(request, body)
        server = self.servers.acquire()
        try:
            connection = self._take(server)
        except BaseException:
            self.servers.release(server)
            raise
        stream = _Stream(self, server, connection, call)
        with self._lock:
            self._streams.add(stream)
        call.context, call.told, call.odd = server.context(), what.told, bool(what.told)
        server.probe.begin(connection.port, call)
        try:
            head = connection.ask(what.method, what.target, what.fields, body, chunked=what.chunked)
        except BaseException:
            stream.abort()
            raise
        if head is None:
            stream.close()  # raises, where the application did
            if call.failure is None:
                raise httpx.RemoteProtocolError("the server has ended without an answer", request=request)
            return httpx.Response(500, request=request)
        response = httpx.Response(head.status, headers=head.fields, stream=stream, request=request)
        if call.debug is not None:
            response.extensions["http.response.debug"] = call.debug
            for name in ("template", "context"):
                if name in call.debug:
                    setattr(response, name, call.debug[name])
        return response

    def abort(self) -> None:
        """End every answer that is still being read, and all connections."""
        with self._lock:
            streams, self._streams = list(self._streams), weakref.WeakSet()
        self._close_idle()
        for stream in streams:
            stream.abort()
        self._close_idle()

    def close(self) -> None:
        """End everything, the servers too, but for the one of a `with`."""
        self.abort()
        self.servers.leave_loose()

    def forget(self) -> None:
        """End what nobody can use any more. The garbage collector may call it, so it takes no lock and never waits."""
        self._close_idle()
        self.servers.ask_end()

    def _close_idle(self) -> None:
        while True:
            try:
                self._idle.pop()[1].close()
            except IndexError:
                return

    def give_back(self, stream: _Stream, server: Running, connection: Connection) -> None:
        """Take back a connection whose answer was read to its end, or one that is of no more use."""
        server.probe.forget(connection.port)
        self.servers.release(server)
        with self._lock:
            self._streams.discard(stream)
            if connection.reusable:
                self._idle.append((server, connection))
                return
        connection.close()

    def _take(self, server: Running) -> Connection:
        while True:
            with self._lock:
                if not self._idle:
                    break
                of, connection = self._idle.pop()
            if of is server and connection.renewed():
                return connection
            connection.close()
        return Connection(server.address)


class _Stream(httpx.SyncByteStream):
    """The body of one answer. At its end, or when it is closed, nothing of the application runs for it any more."""

    def __init__(self, transport: Transport, server: Running, connection: Connection, call: Call) -> None:
        self._transport = transport
        self._server = server
        self._connection = connection
        self._call = call
        self._complete = False
        self._closed = False

    def __del__(self) -> None:
        # Nobody can read on or close it: the application finds its client gone. Takes no lock and never waits.
        if not self._closed:
            self._connection.close()

    def __iter__(self) -> Iterator[bytes]:
        yield from self._connection.body()
        self._complete = True
        self.close()

    def close(self) -> None:
        """Wait until the application is done, cancelling it where the answer was not read to its end. Raises once."""
        if self._closed:
            return
        self.abort()
        if self._call.failure is not None and self._transport.raise_server_exceptions:
            raise self._call.failure

    def abort(self) -> None:
        """Do what close does, and raise nothing."""
        if self._closed:
            return
        self._closed = True
        call, port = self._call, self._connection.port
        try:
            if not call.begun:
                return
            if not self._complete and not call.over.is_set():
                call.cancelled = True
                self._connection.close()
                self._server.cancel(port)
            while not call.over.wait(1.0):
                if not self._server.alive:
                    break
        finally:
            self._transport.give_back(self, self._server, self._connection)
            if isinstance(call.failure, (SystemExit, KeyboardInterrupt)):
                self._transport.servers.lose(self._server)


def call_of(request: httpx.Request) -> Call:
    """Return the call for a request: what its scope tells of the scheme and the server."""
    url = request.url
    port = url.port if url.port is not None else _PORTS[url.scheme]
    return Call(url.scheme, [url.raw_host.decode("ascii"), port])
