"""Call threads that cannot be started, or never arrive."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest
from fastapi import FastAPI

from tests.conftest import get
from turboapi import Server
from turboapi.engine import calls

Serve = Callable[..., Server]


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    def root() -> str:
        return threading.current_thread().name

    return app


def test_threads_that_cannot_be_started_at_first(
    serve: Serve, transport: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The call waits, the log says why, and not a thousand times a second."""
    real, failed = calls.CallThreads.spawn, []

    def spawn(self: calls.CallThreads) -> None:
        if len(failed) < 6:
            failed.append(1)
            raise RuntimeError("can't start new thread")
        real(self)

    monkeypatch.setattr(calls.CallThreads, "spawn", spawn)
    server = serve(application(), transport=transport)
    with caplog.at_level(logging.ERROR, "turboapi.error"):
        assert get(server).data.startswith(b'"turboapi-call-')
    lines = [record for record in caplog.records if record.getMessage() == "no call thread could be started"]
    assert len(lines) == len(failed) == 6
    assert all("can't start new thread" in str(record.exc_info and record.exc_info[1]) for record in lines)


def test_threads_that_never_arrive(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    real, lost = calls.CallThreads.spawn, []

    def spawn(self: calls.CallThreads) -> None:
        if len(lost) < 2:
            lost.append(1)
            return
        real(self)

    monkeypatch.setattr(calls.CallThreads, "spawn", spawn)
    server = serve(application(), call_threads=2)
    assert get(server).data.startswith(b'"turboapi-call-')
    assert len(lost) == 2
