"""What each package is for, asserted through the engine: `make test T=tests/thirdparty`.

The packages are the extra `thirdparty`, in an environment of its own; without it nothing is collected here.
"""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from turboapi import Server

# Its presence says that the extra is installed.
_MARK = "aiosqlite"
collect_ignore_glob = [] if importlib.util.find_spec(_MARK) else ["test_*.py"]

# Seconds that an answer may take before a test gives up.
PATIENCE = 20.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What these packages say about each other is theirs."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("default"))


@contextlib.contextmanager
def uvicorn_serving(app: Any) -> Iterator[str]:
    """Serve `app` on uvicorn in a thread; yield the URL."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", ws="none"))
    started = threading.Event()
    startup = server.startup

    async def told(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = told  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(PATIENCE)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is about connections on both transports, what is about applications on one."""
    if "serve" in metafunc.fixturenames:
        both = metafunc.module.__name__.endswith("test_network")
        metafunc.parametrize("serve", ["reactor", "fasthttp"] if both else ["reactor"], indirect=True)


@pytest.fixture
def serve(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], httpx.Client]]:
    """`serve(app)` serves it on the engine and returns a client for it."""
    with contextlib.ExitStack() as stack:

        def start(app: Any) -> httpx.Client:
            server = stack.enter_context(Server(app, port=0, access_log=False, transport=request.param))
            return stack.enter_context(httpx.Client(base_url=server.url, timeout=PATIENCE))

        yield start


@pytest.fixture
def on_uvicorn() -> Iterator[Callable[[Any], httpx.Client]]:
    """`on_uvicorn(app)` serves it on uvicorn and returns a client for it: what the engine is held against."""
    with contextlib.ExitStack() as stack:

        def start(app: Any) -> httpx.Client:
            url = stack.enter_context(uvicorn_serving(app))
            return stack.enter_context(httpx.Client(base_url=url, timeout=PATIENCE))

        yield start
