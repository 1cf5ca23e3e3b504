"""Go's signal handlers beside Python's: faulthandler, handlers of the application, profilers, broken pipes."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

import pytest

Python = Callable[..., "subprocess.CompletedProcess[str]"]

HEAD = """
import ctypes, faulthandler, http.client, os, signal, sys, tempfile, threading, time
ORDER, TRANSPORT = {order!r}, {transport!r}

def install() -> None:
    {install}

if ORDER == "before":
    install()
from fastapi import FastAPI
from turboapi import Server

app = FastAPI()

def fault():
    {fault}

@app.get("/loop")
async def loop() -> int:
    fault()
    return 1

@app.get("/call")
def call() -> int:
    fault()
    return 1

@app.get("/fine")
def fine() -> int:
    return 1

server = Server(app, port=0, transport=TRANSPORT, access_log=False).start()
if ORDER == "after":
    install()
connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

def ask(path: str = "/fine") -> None:
    connection.request("GET", path)
    assert connection.getresponse().read() == b"1"

def until(true) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end, "never"
        time.sleep(0.001)

ask()
"""

ORDERS = pytest.mark.parametrize("order", ["before", "after"])


def head(order: str, transport: str = "auto", *, install: str = "pass", fault: str = "pass") -> str:
    return HEAD.format(order=order, transport=transport, install=install, fault=fault)


@ORDERS
@pytest.mark.parametrize("path", ["/loop", "/call"])
def test_fault_shows_pythons_traceback_and_ends_the_process_by_its_signal(
    python: Python, transport: str, order: str, path: str
) -> None:
    """Enabled before the engine was loaded or after: the frame that crashed is named, on every kind of thread."""
    source = head(order, transport, install="faulthandler.enable()", fault="ctypes.string_at(0)")
    done = python(source + f"ask({path!r})\n", expect=-signal.SIGSEGV)
    assert done.stderr.startswith("Fatal Python error: Segmentation fault\n")
    current = done.stderr.partition("Current thread ")[2].partition("\n\n")[0]
    assert "in string_at" in current
    assert f"in {path[1:]}" in current


@pytest.mark.parametrize("name", ["SIGABRT", "SIGFPE", "SIGBUS"])
def test_other_faults_do_so_too(python: Python, name: str) -> None:
    source = head("before", install="faulthandler.enable()", fault=f"signal.raise_signal(signal.{name})")
    done = python(source + "ask('/call')\n", expect=-getattr(signal, name))
    assert done.stderr.startswith("Fatal Python error: ")
    assert "in call" in done.stderr


def test_fault_without_faulthandler_ends_the_process_without_go(python: Python) -> None:
    """A crash of Python's or of a C extension is not told as one of Go's."""
    done = python(head("before", fault="ctypes.string_at(0)") + "ask('/call')\n", expect=-signal.SIGSEGV)
    assert "goroutine" not in done.stderr


def test_tracebacks_on_demand_and_after_a_time(python: Python) -> None:
    done = python(
        head("before") + "out = tempfile.TemporaryFile('w+')\n"
        "def written():\n"
        "    return os.pread(out.fileno(), 1 << 20, 0)\n"
        "faulthandler.register(signal.SIGUSR1, file=out)\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
        "until(lambda: b'most recent call first' in written())\n"
        "ask()\n"
        "faulthandler.dump_traceback_later(0.01, file=out)\n"
        "until(lambda: b'Timeout (0:00:00.01' in written())\n"
        "ask()\n"
        "print('done')\n"
    )
    assert done.stdout == "done\n"


@ORDERS
def test_handlers_of_the_application_are_called(python: Python, order: str) -> None:
    """Go has handlers of its own for faults, SIGPIPE and SIGURG only."""
    names = "SIGTERM SIGHUP SIGUSR1 SIGUSR2 SIGWINCH SIGALRM SIGPROF SIGVTALRM SIGCHLD SIGCONT SIGPIPE SIGTSTP".split()
    install = f"[signal.signal(getattr(signal, n), lambda *got: seen.append(got[0])) for n in {names}]"
    done = python(
        head(order, install=install).replace("\ndef install", "\nseen = []\ndef install")
        + f"for number in [getattr(signal, n) for n in {names}]:\n"
        "    os.kill(os.getpid(), number)\n"
        "    until(lambda: number in seen)\n"
        "    ask()\n"
        "print('done')\n"
    )
    assert done.stdout == "done\n"


@ORDERS
def test_profiling_signals_interrupt_handlers_and_harm_nobody(python: Python, transport: str, order: str) -> None:
    """A sampling profiler's timer: its handler runs while requests are served by both lanes."""
    install = "signal.signal(signal.SIGPROF, lambda *_: seen.append(1))"
    done = python(
        head(order, transport, install=install).replace("\ndef install", "\nseen = []\ndef install")
        + "signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)\n"
        "asked = 0\n"
        "while len(seen) < 50:\n"
        "    for path in ('/loop', '/call'):\n"
        "        ask(path)\n"
        "        asked += 1\n"
        "signal.setitimer(signal.ITIMER_PROF, 0)\n"
        "assert server.stats()['responses'] >= asked\n"
        "print('done')\n"
    )
    assert done.stdout == "done\n"


PIPE = "read, write = os.pipe()\nos.close(read)\n"


def test_broken_pipe_is_an_exception_as_ever(python: Python) -> None:
    done = python(
        head("before") + PIPE + "try:\n    os.write(write, b'x')\nexcept BrokenPipeError:\n    print('done')\nask()\n"
    )
    assert done.stdout == "done\n"


@ORDERS
def test_program_that_wants_to_end_by_a_broken_pipe_does(python: Python, order: str) -> None:
    install = "signal.signal(signal.SIGPIPE, signal.SIG_DFL)"
    python(head(order, install=install) + PIPE + "os.write(write, b'x')\n", expect=-signal.SIGPIPE)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_client_that_left_is_no_broken_pipe(python: Python, transport: str, how: str) -> None:
    """Although SIGPIPE would end this process: the engine writes to sockets without it."""
    install = "signal.signal(signal.SIGPIPE, signal.SIG_DFL)"
    linger = "sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))" if how == "rst" else "pass"
    done = python(
        head("after", transport, install=install) + "import socket, struct\n"
        "gate = threading.Event()\n"
        "@app.get('/late')\n"
        "def late() -> str:\n"
        "    gate.wait(60)\n"
        "    return 'x' * 1_000_000\n"
        "for _ in range(3):\n"
        "    gate.clear()\n"
        "    sock = socket.create_connection(('127.0.0.1', server.port))\n"
        "    sock.sendall(b'GET /late HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n')\n"
        "    until(lambda: server.stats()['in_flight'] == 1)\n"
        f"    {linger}\n"
        "    sock.close()\n"
        "    gate.set()\n"
        "    until(lambda: server.stats()['in_flight'] == 0)\n"
        "ask()\n"
        "print('done')\n"
    )
    assert done.stdout == "done\n"
