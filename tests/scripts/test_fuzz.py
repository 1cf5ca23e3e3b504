"""How long fuzzing takes is said as Go says it."""

from __future__ import annotations

import os
import sys

import pytest


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60), ("5m", 300), ("1h", 3600)])
def test_a_time_in_seconds_minutes_or_hours(text: str, seconds: int) -> None:
    import fuzz

    assert fuzz.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "60", "1d", "-1s", "1.5m"])
def test_anything_else_is_refused(text: str) -> None:
    import fuzz
    import toolchain

    with pytest.raises(toolchain.Missing, match="FUZZTIME"):
        fuzz.seconds(text)


@pytest.mark.parametrize(
    ("said", "code", "passed"),
    [
        ("PASS", 0, True),
        ("--- FAIL: FuzzHead\n    context deadline exceeded", 1, True),
        ("--- FAIL: FuzzHead\n    Failing input written to testdata\n context deadline exceeded", 1, False),
        ("panic: index out of range", 2, False),
    ],
)
def test_only_a_failing_input_or_a_crash_is_a_failure(
    said: str, code: int, passed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    import fuzz

    assert fuzz.passed([sys.executable, "-c", f"print({said!r}); raise SystemExit({code})"], dict(os.environ)) is passed
    assert ("FAIL" in capsys.readouterr().out) is ("FAIL" in said and not passed)
