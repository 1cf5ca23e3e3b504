"""The lifespan protocol, without an engine: what applications send, and what follows from it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from turboapi.asgi.lifespan import Lifespan
from turboapi.engine.failures import StartupFailed

Notes = list[str]


def run(main: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(main())  # type: ignore[arg-type]


async def good(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "lifespan"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
    assert (await receive())["type"] == "lifespan.startup"
    scope["state"]["db"] = "open"
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    scope["state"]["db"] = "closed"
    await send({"type": "lifespan.shutdown.complete"})


def test_startup_and_shutdown_bracket_the_server() -> None:
    async def main() -> None:
        lifespan = Lifespan(good, "on")
        await lifespan.startup()
        assert lifespan.state == {"db": "open"}
        await lifespan.shutdown()
        assert lifespan.state == {"db": "closed"}

    run(main)


def test_off_never_asks_the_application() -> None:
    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    async def main() -> None:
        lifespan = Lifespan(never, "off")
        await lifespan.startup()
        await lifespan.shutdown()

    run(main)


def test_application_without_support_is_fine_unless_it_must_have_it(caplog: pytest.LogCaptureFixture) -> None:
    async def without(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError(scope["type"])

    async def main() -> None:
        lifespan = Lifespan(without, "auto")
        await lifespan.startup()
        await lifespan.shutdown()
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
        with pytest.raises(StartupFailed) as caught:
            await Lifespan(without, "on").startup()
        assert isinstance(caught.value.__cause__, NotImplementedError)
        assert "NotImplementedError" in caplog.text

    run(main)


def test_application_that_returns_at_once_is_fine() -> None:
    async def returns(scope: Any, receive: Any, send: Any) -> None:
        return

    async def main() -> None:
        lifespan = Lifespan(returns, "on")
        await lifespan.startup()
        await lifespan.shutdown()

    run(main)


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_failed_startup_is_reported_in_the_applications_words(mode: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "the database is away"})
        raise RuntimeError("the database is away")  # as Starlette does

    async def main() -> None:
        lifespan = Lifespan(fails, mode)
        with pytest.raises(StartupFailed):
            await lifespan.startup()
        await lifespan.shutdown()

    run(main)
    assert "the database is away" in caplog.text


def test_failed_shutdown_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise ValueError("cannot close")

    async def main() -> None:
        lifespan = Lifespan(fails, "auto")
        await lifespan.startup()
        await lifespan.shutdown()

    run(main)
    assert "cannot close" in caplog.text
    assert "shutdown failed" in caplog.text


def test_epilogue_after_the_last_message_is_waited_for() -> None:
    notes: Notes = []

    async def epilogue(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            message = await receive()
            await send({"type": message["type"] + ".complete"})
        await asyncio.sleep(0)
        notes.append("closed")

    async def main() -> None:
        lifespan = Lifespan(epilogue, "auto")
        await lifespan.startup()
        await lifespan.shutdown()
        assert notes == ["closed"]

    run(main)


@pytest.mark.parametrize("asked", [SystemExit(3), KeyboardInterrupt()])
def test_exit_in_startup_leaves_as_it_is(asked: BaseException) -> None:
    async def leaves(scope: Any, receive: Any, send: Any) -> None:
        raise asked

    async def main() -> None:
        with pytest.raises(type(asked)) as caught:
            await Lifespan(leaves, "auto").startup()
        assert caught.value is asked

    run(main)


@pytest.mark.parametrize(
    "messages",
    [
        ["lifespan.shutdown.complete"],
        ["lifespan.startup.complete", "lifespan.startup.complete"],
        ["lifespan.startup.complete", "lifespan.startup.failed"],
        ["http.response.start"],
        ["lifespan.startup.maybe"],
    ],
)
def test_message_out_of_turn_is_the_applications_error(messages: list[str]) -> None:
    raised: Notes = []

    async def confused(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        try:
            for message in messages:
                await send({"type": message})
        except RuntimeError as error:
            raised.append(str(error))
        await receive()

    async def main() -> None:
        lifespan = Lifespan(confused, "auto")
        start = asyncio.ensure_future(lifespan.startup())
        while not raised:
            await asyncio.sleep(0)
        start.cancel()
        await asyncio.wait([start])
        await lifespan.abandon()

    run(main)
    assert messages[-1] in raised[0]


def test_cancelled_startup_cancels_the_application() -> None:
    notes: Notes = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        try:
            notes.append("in")
            await asyncio.Event().wait()
        finally:
            notes.append("out")

    async def main() -> None:
        start = asyncio.ensure_future(Lifespan(slow, "auto").startup())
        while not notes:
            await asyncio.sleep(0)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert notes == ["in", "out"]

    run(main)


def test_context_of_the_lifespan_stays_there() -> None:
    import contextvars

    var = contextvars.ContextVar("var", default="outside")

    async def sets(scope: Any, receive: Any, send: Any) -> None:
        var.set("inside")
        await good(scope, receive, send)

    async def main() -> None:
        lifespan = Lifespan(sets, "auto")
        await lifespan.startup()
        assert var.get() == "outside"
        await lifespan.shutdown()

    run(main)
