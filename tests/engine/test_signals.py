"""SIGINT and SIGTERM: the first asks, the second forces, and afterwards all is as before."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable

import pytest

from turboapi.engine import signals

Python = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_first_stops_and_second_forces(first: signal.Signals, second: signal.Signals) -> None:
    calls: list[str] = []
    with signals.catch(lambda: calls.append("stop"), lambda: calls.append("force")) as caught:
        signal.raise_signal(first)
        assert (calls, caught.forced) == (["stop"], False)
        signal.raise_signal(second)
        assert (calls, caught.forced) == (["stop", "force"], True)
    assert caught.numbers == [first, second]


def test_third_does_what_it_does_to_any_program() -> None:
    with signals.catch(lambda: None, lambda: None):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_handlers_before_are_put_back() -> None:
    mine: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: mine.append(number))
    try:
        with signals.catch(lambda: None, lambda: None):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert mine == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_handlers_are_put_back_after_an_exception() -> None:
    with pytest.raises(ValueError, match="x"), signals.catch(lambda: None, lambda: None):
        raise ValueError("x")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_thread_catches_nothing() -> None:
    seen: list[object] = []

    def work() -> None:
        with signals.catch(lambda: None, lambda: None):
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_process_that_does_not_unwind_is_ended(python: Python) -> None:
    done = python(
        "import signal, threading\n"
        "from turboapi.engine import signals\n"
        "signals._UNWIND = 0.05\n"
        "with signals.catch(lambda: None, lambda: None):\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    threading.Event().wait()\n",
        expect=128 + signal.SIGTERM,
    )
    assert "does not unwind" in done.stderr
