"""SIGTERM and Ctrl-C while a program serves under load: every request that was read has its answer."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, eventually
from tests.faults.client import Client

Start = Callable[..., "Program"]

SOURCE = """
import asyncio, atexit, os, threading, time
from contextlib import asynccontextmanager
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

handled = []  # ids of the requests whose handlers have run; appending is atomic

@asynccontextmanager
async def lifespan(app):
    yield
    with open("handled", "w") as file:
        file.write(" ".join(handled))

app = FastAPI(lifespan=lifespan)

@app.get("/loop/{id}")
async def loop(id: str) -> str:
    handled.append(id)
    return id

@app.get("/call/{id}")
def call(id: str) -> str:
    handled.append(id)
    return id

@app.get("/sleep/{id}")
async def sleep(id: str) -> str:
    await asyncio.sleep(0.003)
    handled.append(id)
    return id

@app.get("/block/{id}")
def block(id: str) -> str:
    time.sleep(0.003)
    handled.append(id)
    return id

@app.post("/body/{id}")
async def body(id: str, request: Request) -> str:
    await request.body()
    handled.append(id)
    return id

@app.get("/stream/{id}")
async def stream(id: str) -> StreamingResponse:
    async def parts():
        for _ in range(3):
            yield ""
            await asyncio.sleep(0.001)
        yield f'"{id}"'
    handled.append(id)
    return StreamingResponse(parts())

async def raw(scope, receive, send):
    id = scope["path"].rpartition("/")[2]
    handled.append(id)
    body = f'"{id}"'.encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": body})

app.mount("/raw", raw)

@app.get("/hang")
async def hang():
    await asyncio.Event().wait()

@app.get("/hang-call")
def hang_call():
    threading.Event().wait()
"""


class Program:
    """`python -m turboapi run` on SOURCE."""

    def __init__(self, folder: Path, transport: str, *more: str) -> None:
        (folder / "program.py").write_text(SOURCE)
        self.handled = folder / "handled"
        self.handled.unlink(missing_ok=True)
        options = ["--port", "0", "--transport", transport, "--no-access-log", *more]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "turboapi", "run", "program:app", *options],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port = self._port()
        with Client(self.port) as client:
            assert client.get("/loop/first").reply().status == 200

    def _port(self) -> int:
        """Not one that the test picks: before the program has it, another may."""
        seen = ""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            seen += line
            if found := re.search(r"http://127.0.0.1:(\d+)", line):
                return int(found[1])
        raise AssertionError(f"it ended with {self.process.wait()}: {seen}")

    def errors(self) -> str:
        """What it wrote until its end, without the notices."""
        assert self.process.stderr is not None
        return "".join(line for line in self.process.stderr if not line.startswith("INFO: "))


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def start(transport: str, *more: str) -> Program:
            made = Program(tmp_path, transport, *more)
            assert made.process.stderr is not None
            stack.callback(made.process.stderr.close)
            stack.callback(made.process.wait)
            stack.callback(made.process.kill)
            return made

        yield start


class Load:
    """Clients that ask, pipelined at random, until the server closes. Notes what each request came to."""

    KINDS = ("loop", "loop", "call", "call", "sleep", "block", "body", "stream", "raw")

    def __init__(self, port: int, clients: int) -> None:
        self.answered: set[str] = set()
        self.unanswered: set[str] = set()
        self.wrong: list[str] = []
        self._port = port
        self._threads = [threading.Thread(target=self._main, args=(f"c{i}",)) for i in range(clients)]
        self.busy = threading.Semaphore(0)
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(2 * PATIENCE)
            assert not thread.is_alive()

    def _main(self, name: str) -> None:
        chance = random.Random()
        sent: list[str] = []
        connection = 0
        while True:
            connection += 1
            try:
                client = Client(self._port)
            except ConnectionError:
                return
            with client:
                served = 0
                while self._round(chance, client, f"{name}-{connection}-{served}", sent):
                    served += 1
                    self.busy.release()
                    if chance.random() < 0.02:
                        break
                else:
                    self.unanswered.update(sent)
                    return

    def _round(self, chance: random.Random, client: Client, name: str, sent: list[str]) -> bool:
        """Send some requests and read their answers. False: the connection is at its end, `sent` had no answer."""
        sent[:] = [f"{name}-{n}" for n in range(chance.choice((1, 1, 1, 2, 4)))]
        data = b""
        for mark in sent:
            kind = chance.choice(self.KINDS)
            if kind == "body":
                data += f"POST /body/{mark} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello".encode()
            else:
                data += f"GET /{kind}/{mark} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
        try:
            client.send(data)
        except ConnectionError:
            return False
        closes = False
        while sent:
            if closes:
                if client.rest() != b"":
                    self.wrong.append(f"{sent[0]}: bytes behind the last answer")
                return False
            try:
                reply = client.reply()
            except EOFError as error:
                if "unread: b''" not in str(error) and 'unread: b""' not in str(error):
                    self.wrong.append(f"{sent[0]}: half an answer: {error}")
                return False
            except ConnectionError as error:
                # One that comes as the listener is closed may stand in the kernel's queue, which resets it. Any other
                # reset could have cost the client an answer.
                if not sent[0].endswith("-0-0"):
                    self.wrong.append(f"{sent[0]}: {error!r}")
                return False
            if (reply.status, reply.body) != (200, f'"{sent[0]}"'.encode()):
                self.wrong.append(f"{sent[0]}: {reply}")
                return False
            self.answered.add(sent.pop(0))
            closes = reply.field("connection") == "close"
        return not closes


@pytest.mark.parametrize("n", range(10))
def test_sigterm_under_load_answers_every_request_that_was_read(program: Start, transport: str, n: int) -> None:
    """Twenty times, ten on each transport."""
    made = program(transport)
    load = Load(made.port, 16)
    for _ in range(random.randrange(20, 120)):
        assert load.busy.acquire(timeout=PATIENCE)
    made.process.send_signal(signal.SIGTERM)
    code = made.process.wait(PATIENCE)
    load.join()
    assert (code, made.errors()) == (0, "")
    assert load.wrong == []
    # A request that had no answer was not run, and one that was run has its answer.
    handled = made.handled.read_text().split()
    assert len(handled) == len(set(handled)), "a request was run twice"
    assert set(handled) - {"first"} == load.answered
    assert not load.unanswered & set(handled)


def test_second_signal_stops_at_once_whatever_hangs(program: Start, transport: str) -> None:
    made = program(transport, "--timeout-stop", "1000", "--call-threads", "2")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(made.port)) for _ in range(20)]
        for n, client in enumerate(clients):
            client.get(("/hang", "/hang-call", "/loop/x", "/sleep/x")[n % 4])
        for client in clients[2::4]:
            assert client.reply().status == 200
        made.process.send_signal(signal.SIGINT)
        for client in clients[2::4]:
            assert client.rest() == b""  # the first one is being obeyed
        assert made.process.poll() is None
        made.process.send_signal(signal.SIGINT)
        made.process.wait(PATIENCE)
        for client in clients:
            client.rest()


def test_kill_leaves_the_port_free(program: Start, transport: str, tmp_path: Path) -> None:
    made = program(transport)
    load = Load(made.port, 4)
    for _ in range(50):
        assert load.busy.acquire(timeout=PATIENCE)
    os.kill(made.process.pid, signal.SIGKILL)
    made.process.wait()
    load.join()

    def bound() -> bool:
        # A client of some other program may have this number for a moment.
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", made.port)):
            return True
        return False

    eventually(bound)


EXITING = """
import asyncio, logging, random, sys, threading, time
from fastapi import FastAPI, Request
from turboapi import Server
from turboapi.engine import server as engine_server, serving as engine_serving

logging.disable(logging.CRITICAL)
# The interpreter's exit overtakes what runs: no time to be graceful in.
engine_server._EXIT_GRACE = engine_server._EXIT_FORCE = engine_serving._UNWIND = 0.02
app = FastAPI()

class Slow:
    def __del__(self):
        time.sleep(0.0005)

slow = [Slow() for _ in range(100)]  # the end takes its time, and gives up the GIL in between

@app.get("/call")
def call(request: Request) -> int:
    time.sleep(random.random() * 0.03)
    return 1

@app.get("/spin")
def spin(request: Request) -> int:
    end = time.monotonic() + random.random() * 0.02
    while time.monotonic() < end:
        pass
    raise ValueError

@app.get("/loop")
async def loop() -> int:
    try:
        await asyncio.sleep(random.random() * 0.05)
    finally:
        await asyncio.sleep(1)
    return 1

server = Server(app, port=0, transport=sys.argv[1], access_log=False).start()
print(server.port, flush=True)
sys.stdin.readline()
"""


def test_interpreter_that_ends_under_load(transport: str, tmp_path: Path) -> None:
    """Call threads come back to an interpreter that is going or gone: no crash, no hang, not a word."""
    (tmp_path / "exiting.py").write_text(EXITING)
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "exiting.py", transport],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            threads = [threading.Thread(target=ask_on, args=(port,)) for _ in range(12)]
            for thread in threads:
                thread.start()
            _, errors = process.communicate("end\n", timeout=2 * PATIENCE)
            for thread in threads:
                thread.join()
        assert (process.returncode, errors) == (0, "")


def ask_on(port: int) -> None:
    with contextlib.suppress(ConnectionError, EOFError), Client(port) as client:
        while True:
            client.get(random.choice(("/call", "/call", "/spin", "/loop"))).reply()
