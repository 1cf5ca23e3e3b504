"""Code that uses the server from where it should not: other threads, nested loops, forks, signals."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request

from tests.conftest import PATIENCE, eventually, get
from tests.faults.client import Client
from turboapi import Server

Serve = Callable[..., Server]
Connect = Callable[..., Client]
Python = Callable[..., Any]


def test_body_that_is_here_can_be_read_on_another_loop(serve: Serve, connect: Connect, transport: str) -> None:
    """`asyncio.run(request.json())` in a `def` handler works where the body came with the head, as everywhere."""
    app = FastAPI()

    @app.post("/")
    def root(request: Request) -> Any:
        return asyncio.run(request.json())

    client = connect(serve(app, transport=transport))
    for _ in range(50):
        client.send(b'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n{"a": 1}')
        assert client.reply().body == b'{"a":1}'


def test_body_that_is_awaited_on_another_loop_harms_nobody(serve: Serve, connect: Connect, transport: str) -> None:
    """Its handler may have it or fail; every other request is answered, and no exchange is lost."""
    app = FastAPI()
    entered: list[int] = []

    async def read(request: Request) -> int:
        async with asyncio.timeout(1):
            return len(await request.body())

    @app.post("/")
    def root(request: Request) -> int:
        entered.append(1)
        return asyncio.run(read(request))

    @app.get("/fine")
    async def fine() -> int:
        return 1

    server = serve(app, transport=transport)
    clients = [connect(server).send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n") for _ in range(20)]
    eventually(lambda: len(entered) == 20)
    others = [connect(server) for _ in range(10)]
    for _ in range(20):
        for other in others:
            other.get("/fine")
        assert [other.reply().body for other in others] == [b"1"] * 10
    for client in clients:
        client.send(b"0123456789")
    for client in clients:
        assert client.reply().status in (200, 500)
    eventually(lambda: server.stats()["in_flight"] == 0)


def test_send_and_receive_on_other_threads_harm_nobody(serve: Serve, connect: Connect, transport: str) -> None:
    """An application that drives its calls from threads of its own: wrong, and never a crash or a lost exchange."""
    pool = concurrent.futures.ThreadPoolExecutor(8)

    def step(awaitable: Any) -> Any:
        """Run what does not have to wait."""
        try:
            awaitable.__await__().send(None)
        except StopIteration as stop:
            return stop.value
        except Exception:
            return None

    def work(receive: Any, send: Any) -> None:
        for call in (
            lambda: receive(),
            lambda: send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}),
            lambda: send({"type": "http.response.body", "body": b"hello"}),
            lambda: receive(),
        ):
            try:
                step(call())
            except Exception:
                pass

    async def app(scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*[loop.run_in_executor(pool, work, receive, send) for _ in range(3)])

    server = serve(app, transport=transport, lifespan="off")
    clients = [connect(server) for _ in range(20)]
    for _ in range(10):
        for client in clients:
            client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n")
        for client in clients:
            client.send(b"abc")
        for i, client in enumerate(clients):
            try:
                reply = client.reply()
            except EOFError:
                reply = None
            if reply is None or reply.field("connection") == "close":
                client.sock.close()
                clients[i] = connect(server)
            else:
                assert reply.body in (b"hello", b"Internal Server Error")
    pool.shutdown()


def test_waiter_on_the_loop_is_woken_when_a_call_thread_ends_the_exchange(
    serve: Serve, transport: str, loop_name: str
) -> None:
    """A task that a dependency started waits for the client to leave, while a `def` handler answers."""
    app = FastAPI()
    told: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def watch(request: Request) -> None:
        told.append((await request.receive())["type"])

    async def dependency(request: Request) -> None:
        await request.body()
        tasks.append(asyncio.create_task(watch(request)))
        await asyncio.sleep(0)

    @app.get("/")
    def root(_: None = Depends(dependency)) -> int:
        return threading.get_ident()

    server = serve(app, transport=transport, loop=loop_name)
    for n in range(20):
        assert get(server).status == 200
        eventually(lambda n=n: len(told) == n + 1)
    assert told == ["http.disconnect"] * 20


def test_asking_whether_the_client_is_there_leaves_nothing_behind(
    serve: Serve, connect: Connect, transport: str
) -> None:
    app = FastAPI()

    @app.get("/")
    async def root(request: Request) -> int:
        def futures() -> int:
            return sum(type(found) is asyncio.Future for found in gc.get_objects())

        assert not await request.is_disconnected()
        before = futures()
        for _ in range(500):
            assert not await request.is_disconnected()
        return futures() - before

    server = serve(app, transport=transport, loop="asyncio")
    assert int(connect(server).get("/").reply().body) < 50


def test_loop_inside_a_handler_is_refused_by_asyncio_and_harms_nobody(
    serve: Serve, transport: str, loop_name: str
) -> None:
    app = FastAPI()

    async def nothing() -> int:
        return 7

    @app.get("/run")
    async def run() -> None:
        with contextlib.closing(nothing()) as coroutine:
            asyncio.run(coroutine)

    @app.get("/until")
    async def until() -> None:
        with contextlib.closing(nothing()) as coroutine:
            asyncio.get_running_loop().run_until_complete(coroutine)

    @app.get("/fine")
    def fine() -> int:
        return asyncio.run(nothing())

    server = serve(app, transport=transport, loop=loop_name)
    for _ in range(3):
        assert get(server, "/run").status == get(server, "/until").status == 500
        assert get(server, "/fine").data == b"7"


def test_turn_inside_a_turn_does_nothing_and_loses_nothing(serve: Serve, connect: Connect, transport: str) -> None:
    """What a debugger or nest_asyncio does: the loop runs on inside a handler's first step."""
    app = FastAPI()
    entered = threading.Event()
    go_on = threading.Event()

    @app.get("/nest")
    async def nest() -> int:
        loop: Any = asyncio.get_running_loop()
        entered.set()
        task = asyncio.current_task()
        asyncio._leave_task(loop, task)  # type: ignore[arg-type]
        turns = 0
        while not go_on.is_set() or turns < 100:
            turns += 1
            loop.call_soon(int)  # else it waits, where nothing is left to do
            loop._run_once()
        asyncio._enter_task(loop, task)  # type: ignore[arg-type]
        return 1

    @app.get("/fine")
    async def fine() -> int:
        return 1

    server = serve(app, transport=transport, loop="asyncio")
    first = connect(server).get("/nest")
    assert entered.wait(PATIENCE)
    others = [connect(server).get("/fine") for _ in range(10)]
    go_on.set()
    assert first.reply().body == b"1"
    assert [other.reply().body for other in others] == [b"1"] * 10


def test_collecting_garbage_everywhere(serve: Serve, connect: Connect, transport: str) -> None:
    app = FastAPI()

    class Knot:
        def __init__(self, request: Request) -> None:
            self.me, self.request = self, request

        def __del__(self) -> None:
            gc.collect(0)

    @app.get("/loop")
    async def loop(request: Request) -> int:
        Knot(request)
        await asyncio.sleep(0)
        gc.collect()
        return 1

    @app.get("/call")
    def call(request: Request) -> int:
        Knot(request)
        gc.collect()
        return 1

    server = serve(app, transport=transport)
    clients = [connect(server) for _ in range(10)]
    threshold = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for path in ("/loop", "/call"):
            for client in clients:
                client.get(path)
            assert [client.reply().body for client in clients] == [b"1"] * 10
    finally:
        gc.set_threshold(*threshold)


def test_signal_handlers_of_the_user_run_while_handlers_block(python: Python, transport: str) -> None:
    """Python's signal handlers run on the main thread, where the loop is, in the middle of whatever it does."""
    done = python(
        f"""
import os, signal, threading, time
from fastapi import FastAPI
from turboapi import Server
import http.client

app = FastAPI()
hits = []
signal.signal(signal.SIGUSR1, lambda *_: hits.append(1))

@app.get("/loop")
async def loop() -> int:
    for _ in range(20):
        os.kill(os.getpid(), signal.SIGUSR1)
    return len(hits)

@app.get("/call")
def call() -> int:
    for _ in range(20):
        os.kill(os.getpid(), signal.SIGUSR1)
    return len(hits)

server = Server(app, port=0, transport={transport!r})
def client():
    while not server.started:
        time.sleep(0.001)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for path in ("/loop", "/call") * 100:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200 and response.read()
    connection.close()
    os.kill(os.getpid(), signal.SIGTERM)
thread = threading.Thread(target=client)
thread.start()
server.run()
thread.join()
print("hits", len(hits) > 100)
"""
    )
    assert done.stdout == "hits True\n"


def test_interrupt_in_the_middle_of_a_handler_stops_gracefully(python: Python, transport: str) -> None:
    """Ctrl-C while Python code of a handler runs on the main thread: the request is answered."""
    done = python(
        f"""
import os, signal, socket, threading, time
from fastapi import FastAPI
from turboapi import Server

app = FastAPI()

@app.get("/")
async def loop() -> int:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass
    return 1

server = Server(app, port=0, transport={transport!r})
answer = []
def client():
    while not server.started:
        time.sleep(0.001)
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n")
        while part := sock.recv(1000):
            answer.append(part)
thread = threading.Thread(target=client)
thread.start()
server.run()
thread.join()
print(b"".join(answer).endswith(b"\\r\\n\\r\\n1"))
"""
    )
    assert done.stdout == "True\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_children_of_all_kinds_in_handlers(python: Python, transport: str) -> None:
    """fork, multiprocessing and subprocess in handlers of every lane: the child ends, the parent serves on."""
    done = python(
        f"""
import asyncio, multiprocessing, os, subprocess, sys, warnings
import http.client
from concurrent.futures import ProcessPoolExecutor
from fastapi import FastAPI
from turboapi import Server

warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process with threads
app = FastAPI()

def fork() -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def child(queue) -> None:
    queue.put(os.getppid())

def square(n: int) -> int:
    return n * n

def process() -> int:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    worker = context.Process(target=child, args=(queue,))
    worker.start()
    parent = queue.get(timeout=60)
    worker.join(60)
    assert parent == os.getpid() and worker.exitcode == 0, worker.exitcode
    return 7

def pool() -> int:
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as workers:
        return sum(workers.map(square, range(3))) + 2

def run() -> int:
    return subprocess.run([sys.executable, "-c", "raise SystemExit(7)"]).returncode

@app.get("/loop/{{kind}}")
async def loop(kind: str) -> int:
    return globals()[kind]()

@app.get("/call/{{kind}}")
def call(kind: str) -> int:
    return globals()[kind]()

@app.get("/async")
async def create() -> int:
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(7)")
    return await worker.wait()

def main() -> None:
    with Server(app, port=0, transport={transport!r}) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        kinds = ("fork", "process", "pool", "run")
        for path in [f"/{{lane}}/{{kind}}" for lane in ("loop", "call") for kind in kinds] * 2 + ["/async"]:
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200 and response.read() == b"7", (path, response.status)
        connection.close()
    print("done")

main()
"""
    )
    assert done.stdout == "done\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_child_that_lives_on_does_not_hold_connections_open(
    serve: Serve, connect: Connect, transport: str
) -> None:
    """The child has copies of all descriptors; the client sees the end all the same."""
    script = (
        "import os, signal, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from fastapi import FastAPI\n"
        "from turboapi import Server\n"
        "app = FastAPI()\n"
        "children = []\n"
        "@app.get('/')\n"
        "async def root() -> int:\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        signal.pause()\n"
        "    children.append(pid)\n"
        "    return pid\n"
        f"server = Server(app, port=0, transport={transport!r}).start()\n"
        "print(server.port, flush=True)\n"
        "sys.stdin.readline()\n"
        "server.stop()\n"
        "print('stopped', flush=True)\n"
        "sys.stdin.readline()\n"
        "for pid in children:\n"
        "    os.kill(pid, signal.SIGKILL)\n"
        "    os.waitpid(pid, 0)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        children: list[int] = []
        try:
            port = int(process.stdout.readline())
            with Client(port) as client, Client(port) as idle:
                children.append(int(client.get("/").reply().body))
                children.append(int(client.get("/", "connection: close").reply().body))
                assert client.rest() == b""
                process.stdin.write("stop\n")
                process.stdin.flush()
                assert process.stdout.readline() == "stopped\n"
                assert idle.rest() == b""
            process.stdin.write("end\n")
            process.stdin.flush()
            assert process.wait(PATIENCE) == 0
        except BaseException:
            process.kill()
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            raise
