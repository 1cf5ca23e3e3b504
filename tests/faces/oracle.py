"""What an application itself answers: a server without sockets, as small as ASGI allows.

Scope, messages and the handling of failures are those of a careful HTTP/1.1 server, so that an application
cannot tell the difference (ASGI 3.0: HTTP and lifespan).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote

from .reply import Reply, bodyless
from .request import Request

Message = MutableMapping[str, Any]
Peer = tuple[str, int]

NO_ANSWER = Reply(500, ((b"content-type", b"text/plain; charset=utf-8"),), b"Internal Server Error", servers_own=True)
PATIENCE = 60.0


class LifespanFailed(Exception):
    """The application said that it cannot start, or that it could not stop."""


class Oracle:
    """One application between its start-up and its shutdown. Everything runs on one loop."""

    def __init__(self, app: Any, server: Peer) -> None:
        self.app = app
        self.server = server
        self.state: dict[str, Any] = {}
        self.errors: list[str] = []
        self._lifespan: asyncio.Task[None] | None = None

    # Lifespan

    async def startup(self) -> None:
        """Run the application's start-up. One that refuses the lifespan scope runs without."""
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._outbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._inbox.put_nowait({"type": "lifespan.startup"})
        self._lifespan = asyncio.get_running_loop().create_task(self._run_lifespan())
        await self._lifespan_step("startup")

    async def shutdown(self) -> None:
        if self._lifespan is not None:
            self._inbox.put_nowait({"type": "lifespan.shutdown"})
            await self._lifespan_step("shutdown")
            await self._lifespan

    async def _lifespan_step(self, step: str) -> None:
        message = await asyncio.wait_for(self._outbox.get(), PATIENCE)
        if message is None:
            self._lifespan = None
        elif message["type"] == f"lifespan.{step}.failed":
            raise LifespanFailed(message.get("message", step))
        else:
            assert message["type"] == f"lifespan.{step}.complete", message

    async def _run_lifespan(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self.app(scope, self._inbox.get, self._outbox.put)
        except Exception:
            self.errors.append(traceback.format_exc())
        finally:
            self._outbox.put_nowait(None)

    # HTTP

    async def ask(self, asked: Request, client: Peer) -> Reply:
        """Answer one request. Returns when the application has returned, its background work included."""
        cycle = Cycle(asked)
        task = asyncio.get_running_loop().create_task(self._run(cycle, self._scope(asked, client)))
        await asyncio.wait_for(task, PATIENCE)
        return cycle.reply()

    async def _run(self, cycle: Cycle, scope: dict[str, Any]) -> None:
        try:
            await self.app(scope, cycle.receive, cycle.send)
        except (Exception, asyncio.CancelledError):
            self.errors.append(traceback.format_exc())
        finally:
            cycle.returned()

    def _scope(self, asked: Request, client: Peer) -> dict[str, Any]:
        raw_path, _, query = asked.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": client,
            "scheme": "http",
            "method": asked.method.decode("ascii"),
            "root_path": "",
            "path": unquote(raw_path.decode("ascii")),
            "raw_path": raw_path,
            "query_string": query,
            "headers": [(name.lower(), value.strip(b" \t")) for name, value in asked.headers],
            "state": self.state.copy(),
        }


class Cycle:
    """One request's `receive` and `send`.

    `receive` gives the whole body at once, then waits for the end of the answer and says that the client has
    gone. `send` refuses what ASGI forbids.
    """

    def __init__(self, asked: Request) -> None:
        self._asked = asked
        self._given = False
        self._ended = asyncio.Event()
        self._start: Message | None = None
        self._body: list[bytes] = []
        self._complete = False

    async def receive(self) -> Message:
        if not self._given and not self._complete:
            self._given = True
            return {"type": "http.request", "body": self._asked.body, "more_body": False}
        await self._ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if self._complete:
            raise RuntimeError(f"unexpected {kind!r} after the answer was complete")
        if self._start is None:
            if kind != "http.response.start":
                raise RuntimeError(f"expected 'http.response.start', got {kind!r}")
            self._start = message
            return
        if kind != "http.response.body":
            raise RuntimeError(f"expected 'http.response.body', got {kind!r}")
        self._body.append(bytes(message.get("body", b"")))
        if not message.get("more_body", False):
            self._complete = True
            self._ended.set()

    def returned(self) -> None:
        """The application has returned or raised."""
        self._ended.set()

    def reply(self) -> Reply:
        if self._start is None:
            return NO_ANSWER
        status = self._start["status"]
        headers = tuple(
            (bytes(name).lower(), bytes(value).strip(b" \t")) for name, value in self._start.get("headers", ())
        )
        if bodyless(self._asked, status):
            return Reply(status, headers, b"", aborted=not self._complete)
        if status == 205:
            # FastAPI takes the body away and leaves its length; there is no such answer (RFC 9110, 15.3.6).
            return Reply(status, headers, b"", aborted=not self._complete)
        body = b"".join(self._body)
        stated = [int(value) for name, value in headers if name == b"content-length"]
        # What is shorter than its stated length cannot be told from what broke off (RFC 9112, 8).
        return Reply(status, headers, body, aborted=not self._complete or any(len(body) < n for n in stated))
