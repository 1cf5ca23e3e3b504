"""The pytest plugin: fixtures `client` and `live_server` for the application that the project names.

    [tool.pytest.ini_options]
    turboapi_app = "shop.main:app"

or, in a conftest.py, a fixture `turboapi_app` that returns the application.
Nothing heavy is imported until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from turboapi import Server
    from turboapi.testclient import TestClient

__all__ = ["client", "live_server", "turboapi_app"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option."""
    parser.addini("turboapi_app", "the application of the fixtures `client` and `live_server`, as MODULE:APP")


@pytest.fixture
def turboapi_app(pytestconfig: pytest.Config) -> Any:
    """The application that `client` and `live_server` serve: the ini option's. Override it to give another one."""
    target = pytestconfig.getini("turboapi_app")
    if not target:
        raise pytest.UsageError(
            "turboapi: no application: set turboapi_app = MODULE:APP in pytest's configuration, "
            "or define a fixture turboapi_app that returns it"
        )
    from turboapi.cli.load import LoadError, load

    try:
        return load(target, app_dir=str(pytestconfig.rootpath))
    except LoadError as error:
        raise pytest.UsageError(f"turboapi_app: {error}") from error


@pytest.fixture
def client(turboapi_app: Any) -> Iterator[TestClient]:
    """A `turboapi.testclient.TestClient` for the application, whose lifespan runs around the test."""
    from turboapi.testclient import TestClient

    with TestClient(turboapi_app) as client:
        yield client


@pytest.fixture
def live_server(turboapi_app: Any) -> Iterator[Server]:
    """A `turboapi.Server` that serves the application on a free port of 127.0.0.1; `live_server.url` says where."""
    from turboapi import Server

    with Server(turboapi_app, port=0, access_log=False) as server:
        yield server
