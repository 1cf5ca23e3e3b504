"""The command line, in processes of its own: serving, stopping, and every way to get it wrong."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE, ROOT

SOURCE = """
import asyncio, os, sys
from contextlib import asynccontextmanager
from turboapi import App

@asynccontextmanager
async def lifespan(app):
    if os.environ.get("FAIL"):
        raise RuntimeError("the database is away")
    yield
    print("lifespan closed", flush=True)

app = App(lifespan=lifespan)

@app.get("/")
async def root():
    return {"hello": "world"}

@app.get("/slow")
async def slow():
    print("slow began", flush=True)
    await asyncio.sleep(float(os.environ.get("SLOW", "0.3")))
    return "slow"

@app.get("/exit")
def leave():
    sys.exit(7)

async def raw(scope, receive, send):
    raise NotImplementedError

def make():
    return app

if __name__ == "__main__":
    app.run(port=int(sys.argv[1]), uds=None)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SOURCE)
    return tmp_path


@contextlib.contextmanager
def process(directory: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment}
    child = subprocess.Popen(
        [sys.executable, *arguments], cwd=directory, stdout=-1, stderr=subprocess.STDOUT, text=True, env=env
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def turboapi(directory: Path, *arguments: str, **environment: str) -> Any:
    return process(directory, "-m", "turboapi", *arguments, **environment)


def finished(directory: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    with turboapi(directory, *arguments, **environment) as child:
        out = child.communicate(timeout=PATIENCE)[0]
        return child.returncode, out


def port_of(child: subprocess.Popen[str]) -> int:
    seen = ""
    assert child.stdout is not None
    for line in child.stdout:
        seen += line
        if found := re.search(r"http://[^:]+:(\d+)", line):
            return int(found[1])
    raise AssertionError(f"it ended with {child.wait()}: {seen}")


def read(port: int, path: str = "/") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_a_signal_and_exits_0(directory: Path, transport: str, number: signal.Signals) -> None:
    with turboapi(directory, "run", "shop:app", "--port", "0", "--transport", transport) as child:
        port = port_of(child)
        assert read(port) == (200, b'{"hello":"world"}')
        child.send_signal(number)
        out = child.communicate(timeout=PATIENCE)[0]
    assert child.returncode == 0
    assert '"GET / HTTP/1.1" 200' in out
    assert "lifespan closed" in out
    assert "Traceback" not in out


def test_running_request_is_answered_after_the_signal(directory: Path, transport: str) -> None:
    with turboapi(directory, "run", "shop:app", "--port", "0", "--transport", transport) as child:
        port = port_of(child)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/slow")
        assert child.stdout is not None
        while "slow began" not in child.stdout.readline():
            pass
        child.send_signal(signal.SIGTERM)
        assert connection.getresponse().read() == b'"slow"'
        connection.close()
        child.communicate(timeout=PATIENCE)
    assert child.returncode == 0


def test_second_signal_stops_at_once(directory: Path, transport: str) -> None:
    with turboapi(directory, "run", "shop:app", "--port", "0", "--transport", transport, SLOW="600") as child:
        port = port_of(child)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/slow")
        assert child.stdout is not None
        while "slow began" not in child.stdout.readline():
            pass
        child.send_signal(signal.SIGINT)
        while "Stopping" not in child.stdout.readline():
            pass
        child.send_signal(signal.SIGINT)
        out = child.communicate(timeout=PATIENCE)[0]
        connection.close()
    assert child.returncode == 128 + signal.SIGINT
    assert "Stopped at once" in out
    assert "Traceback" not in out


def test_access_log_can_be_off(directory: Path) -> None:
    with turboapi(directory, "run", "shop:app", "--port", "0", "--no-access-log") as child:
        read(port_of(child))
        child.send_signal(signal.SIGTERM)
        out = child.communicate(timeout=PATIENCE)[0]
    assert "GET /" not in out


def test_log_level_silences_notices(directory: Path) -> None:
    with turboapi(directory, "run", "shop:app", "--uds", "a.sock", "--log-level", "warning") as child:
        while True:
            with socket.socket(socket.AF_UNIX) as sock:
                try:
                    sock.connect(str(directory / "a.sock"))
                    break
                except OSError:
                    assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        out = child.communicate(timeout=PATIENCE)[0]
    assert out == "lifespan closed\n"
    assert child.returncode == 0


def test_factory(directory: Path) -> None:
    with turboapi(directory, "run", "shop:make", "--factory", "--port", "0") as child:
        assert read(port_of(child))[0] == 200
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=PATIENCE)


def test_app_dir_and_loop(directory: Path, tmp_path_factory: pytest.TempPathFactory, loop_name: str) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    options = ["--app-dir", str(directory), "--port", "0", "--loop", loop_name]
    with turboapi(elsewhere, "run", "shop:app", *options) as child:
        assert read(port_of(child))[0] == 200
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=PATIENCE)


def test_exit_of_a_handler_is_the_exit_code(directory: Path) -> None:
    with turboapi(directory, "run", "shop:app", "--port", "0") as child:
        port = port_of(child)
        with contextlib.suppress(OSError, http.client.HTTPException):
            read(port, "/exit")
        out = child.communicate(timeout=PATIENCE)[0]
    assert child.returncode == 7
    assert "lifespan closed" in out


def test_failed_startup_shows_the_users_traceback_and_exits_1(directory: Path) -> None:
    code, out = finished(directory, "run", "shop:app", "--port", "0", FAIL="1")
    assert code == 1
    assert "RuntimeError: the database is away" in out
    assert "turboapi/engine" not in out


def test_port_in_use_exits_1_with_a_sentence(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out = finished(directory, "run", "shop:app", "--port", str(port))
    assert code == 1
    assert out == (
        f"turboapi: cannot listen on 127.0.0.1:{port}: the port is in use. Stop the other server, "
        "or choose another port\n"
    )


def test_app_run_in_a_script(directory: Path) -> None:
    with process(directory, "shop.py", "0") as child:
        port = port_of(child)
        assert read(port) == (200, b'{"hello":"world"}')
        child.send_signal(signal.SIGINT)
        out = child.communicate(timeout=PATIENCE)[0]
    assert child.returncode == 0
    assert "lifespan closed" in out
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        process(directory, "shop.py", str(taken.getsockname()[1])) as child,
    ):
        out = child.communicate(timeout=PATIENCE)[0]
    assert child.returncode == 1
    assert "the port is in use" in out
    assert "Traceback" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "shop:ap"], "module 'shop' has no attribute 'ap'; did you mean shop:app?"),
        (["run", "shoop:app"], "no module named 'shoop'"),
        (["run", "shop:app", "--port", "70000"], "--port must be an integer from 0 to 65535, not 70000"),
        (["run", "shop:app", "--port", "http"], "argument --port: invalid integer value: 'http'"),
        (["run", "shop:app", "--loop", "trio"], "--loop must be one of 'auto', 'uvloop', 'asyncio', not 'trio'"),
        (["run", "shop:app", "--limit-body", "lots"], "argument --limit-body: invalid size value: 'lots'"),
        (["run", "shop:app", "--limit-bod", "5"], "unrecognized arguments: --limit-bod"),
        (["run"], "the following arguments are required: MODULE:APP"),
        (["rnu", "shop:app"], "invalid choice: 'rnu'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_wrong_usage_exits_2_with_a_sentence(directory: Path, arguments: list[str], message: str) -> None:
    code, out = finished(directory, *arguments)
    assert code == 2
    assert message in out
    assert "Traceback" not in out


def test_version(directory: Path) -> None:
    from turboapi import __version__

    assert finished(directory, "--version") == (0, f"turboapi {__version__}\n")


@pytest.mark.parametrize(
    ("text", "size"), [("65536", 65536), ("64K", 65536), ("64kb", 65536), ("2 MB", 2 << 20), ("1g", 1 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    from turboapi.cli.run import _size

    assert _size(text) == size


def test_routes_lists_every_route_with_its_outcome(directory: Path) -> None:
    (directory / "listed.py").write_text(
        "from fastapi import FastAPI\n"
        "app = FastAPI()\n"
        "@app.get('/items/{item_id}')\n"
        "async def item(item_id: int): ...\n"
        "async def raw(scope, receive, send): ...\n"
        "app.mount('/raw', raw)\n"
    )
    code, out = finished(directory, "routes", "listed:app")
    assert code == 0
    lines = {line.split()[1]: line for line in out.splitlines()[:-1]}
    assert lines["/items/{item_id}"].split() == ["GET", "/items/{item_id}", "compiled"]
    assert "fallback: " in lines["/raw"]
    assert re.fullmatch(r"\d+ routes, \d+ compiled, \d+ fallback", out.splitlines()[-1])
    code, out = finished(directory, "routes", "listed:raw")
    assert (code, out) == (0, "listed:raw is no FastAPI application: all of it runs through its ASGI interface.\n")
