"""Settings: what is accepted, what is refused and with which words, and what the engine gets."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, get_type_hints

import pytest

from tests.conftest import ROOT
from turboapi import Server
from turboapi.engine.settings import Options, Settings


async def app(scope: Any, receive: Any, send: Any) -> None: ...


def engine_json(**values: Any) -> dict[str, Any]:
    text = Settings.of("test", values).for_engine([(7, "inet"), (8, "unix")], log_level=30, access_log=True)
    return json.loads(text)


def test_defaults_are_those_of_the_contract() -> None:
    found = engine_json()
    assert {name: found[name] for name in found if name.startswith(("limit", "timeout"))} == {
        "limit_request_line": 8192,
        "limit_headers": 65536,
        "limit_fields": 200,
        "limit_body": 64 * 1024 * 1024,
        "limit_memory": 1 << 30,
        "limit_connections": 0,
        "timeout_header_ms": 10_000,
        "timeout_idle_ms": 75_000,
        "timeout_write_ms": 30_000,
    }
    assert Settings().timeout_stop == 30.0
    assert Settings().call_threads is None


def test_engine_gets_listeners_and_what_is_logged() -> None:
    found = engine_json()
    assert found["listeners"] == [{"fd": 7, "family": "inet"}, {"fd": 8, "family": "unix"}]
    assert (found["log_level"], found["access_log"], found["version"]) == (30, True, 1)


def test_none_means_no_limit() -> None:
    found = engine_json(limit_body=None, limit_memory=None, limit_connections=None, server_header=None)
    assert (found["limit_body"], found["limit_memory"], found["limit_connections"]) == (0, 0, 0)
    assert found["server_header"] == ""


def test_a_limit_of_no_bytes_is_a_limit() -> None:
    assert engine_json(limit_body=1)["limit_body"] == 1


def test_times_round_to_milliseconds_and_never_to_none() -> None:
    assert engine_json(timeout_write=0.0504)["timeout_write_ms"] == 50


def test_unknown_setting_names_the_accepted_ones() -> None:
    with pytest.raises(TypeError) as caught:
        Server(app, timeout_idel=3)  # type: ignore[call-arg]
    message = str(caught.value)
    assert message.startswith(
        "turboapi.Server: unknown setting 'timeout_idel'. Did you mean 'timeout_idle'? Accepted: "
    )
    for field in dataclasses.fields(Settings):
        assert field.name in message


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("port", 65536, ValueError),
        ("port", -1, ValueError),
        ("port", "8000", TypeError),
        ("port", True, TypeError),
        ("port", None, TypeError),
        ("host", 1, TypeError),
        ("uds", "", ValueError),
        ("uds", "x" * 108, ValueError),
        ("uds", "é" * 54, ValueError),
        ("uds", 5, TypeError),
        ("loop", "trio", ValueError),
        ("loop", None, TypeError),
        ("transport", "REACTOR", ValueError),
        ("lifespan", True, TypeError),
        ("root_path", "api", ValueError),
        ("root_path", "/api/", ValueError),
        ("log_level", "loud", ValueError),
        ("access_log", "no", TypeError),
        ("access_log", 1, TypeError),
        ("backlog", 0, ValueError),
        ("server_header", "a\r\nb: c", ValueError),
        ("server_header", "", ValueError),
        ("server_header", "naïve", ValueError),
        ("limit_request_line", 1, ValueError),
        ("limit_headers", None, TypeError),
        ("limit_fields", 0, ValueError),
        ("limit_body", -1, ValueError),
        ("limit_body", 0, ValueError),
        ("limit_connections", 0, ValueError),
        ("timeout_header", 0, ValueError),
        ("timeout_header", float("nan"), ValueError),
        ("timeout_idle", float("inf"), ValueError),
        ("timeout_write", "30", TypeError),
        ("timeout_stop", -1, ValueError),
        ("call_threads", 0, ValueError),
        ("call_queue", 1.5, TypeError),
        ("switch_interval", 0, ValueError),
    ],
)
def test_refused_value_is_named_with_what_is_accepted(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"^turboapi\.Server: {name} must be .+, not ") as caught:
        Server(app, **{name: value})
    assert repr(value) in str(caught.value)


def test_server_and_settings_have_the_same_options_with_the_same_types() -> None:
    options, settings = get_type_hints(Options), get_type_hints(Settings)
    for name in ("host", "port", "uds"):
        del settings[name]
    assert options == settings


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_every_default_is_accepted_and_described(field: dataclasses.Field[Any]) -> None:
    assert field.metadata["accepts"].error(field.default) is None
    assert field.metadata["about"]


@pytest.mark.parametrize("wrong", ["main:app", None, 3])
def test_what_is_no_application_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="must be an ASGI application"):
        Server(wrong)


def test_every_setting_is_documented_as_it_is() -> None:
    page = (ROOT / "docs" / "running.md").read_text()
    rows = [
        f"| `{field.name}` | `{field.default!r}` | {field.metadata['about']} |"
        for field in dataclasses.fields(Settings)
    ]
    assert [row for row in rows if row not in page.splitlines()] == []
