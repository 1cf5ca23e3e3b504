"""Asynchronous tests: a server on the test's own loop, asked by httpx."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI

from tests.testclient.both import TestClient
from turboapi import BindError, Server, StartupFailed
from turboapi.testclient._httpx import httpx


def app_with(steps: list[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        steps.append("start")
        app.state.loop = asyncio.get_running_loop()
        yield
        steps.append("end")

    app = FastAPI(lifespan=lifespan)

    @app.get("/{number}")
    async def same_loop(number: int) -> bool:
        return asyncio.get_running_loop() is app.state.loop

    return app


def test_httpx_and_the_application_on_one_loop(transport: str) -> None:
    steps: list[str] = []

    async def main() -> list[bool]:
        async with (
            Server(app_with(steps), port=0, access_log=False, transport=transport) as server,  # type: ignore[arg-type]
            httpx.AsyncClient(base_url=server.url) as client,
        ):
            assert server.started
            replies = await asyncio.gather(*(client.get(f"/{number}") for number in range(20)))
        assert not server.started
        return [reply.json() for reply in replies]

    assert asyncio.run(main()) == [True] * 20
    assert steps == ["start", "end"]


def test_what_keeps_it_from_starting_is_raised() -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        raise ValueError("no database")
        yield

    async def main() -> None:
        with pytest.raises(StartupFailed):
            async with Server(FastAPI(lifespan=lifespan), port=0):
                pass
        async with Server(FastAPI(), port=0) as server:
            with pytest.raises(BindError):
                async with Server(FastAPI(), port=server.port):
                    pass

    asyncio.run(main())


def test_a_cancelled_start_leaves_nothing() -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01), Server(FastAPI(lifespan=lifespan), port=0):
                pass
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_the_blocking_client_within_a_loop() -> None:
    steps: list[str] = []

    async def main() -> int:
        with TestClient(app_with(steps)) as client:
            return int(client.get("/1").status_code)

    assert asyncio.run(main()) == 200
    assert steps == ["start", "end"]
