"""What the engine's lines become in Python's logging."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from turboapi.engine import logs


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    kept = [(logger, list(logger.handlers), logger.level, logger.propagate) for logger in (logs.error, logs.access)]
    yield
    for logger, handlers, level, propagate in kept:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


ACCESS = {"t": 1764000000.125, "a": ["127.0.0.1:4242", "GET", "/x?y=1%20", 1, 200, 57]}


def test_access_line_reads_as_uvicorns(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turboapi.access")
    assert logs.emit({"dropped": 0, "lines": [ACCESS]}) == 1
    (record,) = caplog.records
    assert record.getMessage() == '127.0.0.1:4242 - "GET /x?y=1%20 HTTP/1.1" 200'
    assert record.name == "turboapi.access"
    assert record.args == ("127.0.0.1:4242", "GET", "/x?y=1%20", "1.1", 200)
    assert record.duration == pytest.approx(57e-6)  # type: ignore[attr-defined]


def test_line_has_the_time_at_which_the_engine_made_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turboapi.access")
    logs.emit({"dropped": 0, "lines": [ACCESS]})
    assert (caplog.records[0].created, caplog.records[0].msecs) == (1764000000.125, 125)


def test_error_line_keeps_its_level_and_stack(caplog: pytest.LogCaptureFixture) -> None:
    line = {"t": 1.0, "level": 40, "msg": "accept: 100% full", "stack": "goroutine 1 [running]:"}
    logs.emit({"dropped": 0, "lines": [line]})
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("turboapi.error", logging.ERROR)
    assert record.getMessage() == "accept: 100% full\ngoroutine 1 [running]:"


def test_dropped_lines_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    assert logs.emit({"dropped": 7, "lines": []}) == 0
    assert caplog.records[0].getMessage().startswith("7 log lines were dropped")


def test_logger_that_is_off_makes_no_record(caplog: pytest.LogCaptureFixture) -> None:
    logs.access.setLevel(logging.WARNING)
    logs.emit({"dropped": 0, "lines": [ACCESS]})
    assert caplog.records == []


def test_exception_of_a_handler_has_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("mine")
    except ValueError as error:
        logs.from_hot(logging.ERROR, "GET /100%d", error)
    (record,) = caplog.records
    assert record.getMessage() == "GET /100%d"
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError


def test_configure_writes_errors_to_stderr_and_access_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    logs.configure("info")  # again: no second handler
    logs.error.info("started")
    logs.emit({"dropped": 0, "lines": [ACCESS]})
    shown = capsys.readouterr()
    assert shown.err == "INFO: started\n"
    assert shown.out == 'INFO: 127.0.0.1:4242 - "GET /x?y=1%20 HTTP/1.1" 200\n'


def test_level_is_left_alone_unless_it_is_given() -> None:
    logs.error.setLevel(logging.ERROR)
    logs.set_level(None)
    assert logs.error.level == logging.ERROR
    logs.set_level("debug")
    assert logs.error.level == logging.DEBUG
