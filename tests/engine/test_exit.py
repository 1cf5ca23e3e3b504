"""The process: how it exits with a server that nobody stopped, with a handler that hangs, and what a fork sees."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

Python = Callable[..., "subprocess.CompletedProcess[str]"]

HEAD = """
import asyncio, http.client, os, signal, sys, threading, time
from fastapi import FastAPI
from turboapi import Server

app = FastAPI()
entered = threading.Event()

@app.get("/")
async def root(): return "hello"

@app.get("/hang")
def hang():
    entered.set()
    threading.Event().wait()

@app.get("/exit/{code}")
def leave(code: int):
    sys.exit(code)

@app.get("/kill/{number}")
async def kill(number: int):
    os.kill(os.getpid(), number)
    return "sent"

@app.get("/fork")
def fork():
    pid = os.fork()
    if pid == 0:
        try:
            server.stop()
        except RuntimeError as error:
            os._exit(7 if "fork" in str(error) else 8)
        os._exit(9)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def get(path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", path)
    reply = connection.getresponse()
    body = reply.read().decode()
    connection.close()
    return body

def ask_later(path):
    def ask():
        while not server.started:
            time.sleep(0.005)
        try:
            get(path)
        except OSError:
            pass
        except http.client.HTTPException:
            pass
    threading.Thread(target=ask, daemon=True).start()

TRANSPORT = "%s"
server = Server(app, port=0, transport=TRANSPORT, access_log=False)
"""


def test_unstopped_server_does_not_keep_the_interpreter(python: Python, transport: str) -> None:
    done = python(HEAD % transport + "server.start()\nprint(get())\n")
    assert done.stdout == '"hello"\n'
    assert done.stderr == ""


def test_unstopped_server_runs_its_lifespans_end(python: Python, transport: str) -> None:
    done = python(
        HEAD % transport + "from contextlib import asynccontextmanager\n"
        "@asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    yield\n"
        "    print('closed')\n"
        "app.router.lifespan_context = lifespan\n"
        "server.start()\n",
    )
    assert done.stdout == "closed\n"


def test_handler_that_hangs_does_not_keep_the_interpreter(python: Python, transport: str) -> None:
    # The grace for it is shorter than in earnest.
    python(
        HEAD % transport + "from turboapi.engine import server as engine_server\n"
        "engine_server._EXIT_GRACE = engine_server._EXIT_FORCE = 0.2\n"
        "server.start()\nask_later('/hang')\nassert entered.wait(60)\n"
    )


def test_server_in_a_loop_that_was_dropped_does_not_keep_the_interpreter(python: Python, transport: str) -> None:
    python(
        HEAD % transport + "loop = asyncio.new_event_loop()\n"
        "task = loop.create_task(server.serve())\n"
        "async def up():\n"
        "    while not server.started: await asyncio.sleep(0.001)\n"
        "loop.run_until_complete(up())\n"
        "os.close(2)\n",  # asyncio complains of the task that was dropped
        timeout=20,
    )


@pytest.mark.parametrize("code", [0, 1, 3])
def test_exit_of_a_handler_is_the_exit_of_run(python: Python, transport: str, code: int) -> None:
    done = python(HEAD % transport + f"ask_later('/exit/{code}')\nserver.run()\n", expect=code)
    assert "/exit/" in done.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signal_stops_run_and_the_request_is_answered(python: Python, transport: str, name: str) -> None:
    done = python(
        HEAD % transport + f"ask_later('/kill/%d' % signal.{name})\n"
        "server.run()\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "print('after')\n",
    )
    assert done.stdout == "after\n"


def test_run_in_another_thread_leaves_signals_alone(python: Python, transport: str) -> None:
    python(
        HEAD % transport + "thread = threading.Thread(target=server.run)\n"
        "before = signal.getsignal(signal.SIGTERM)\n"
        "thread.start()\n"
        "while not server.started: time.sleep(0.005)\n"
        "assert signal.getsignal(signal.SIGTERM) is before\n"
        "assert get() == '\"hello\"'\n"
        "server.stop()\n"
        "thread.join(60)\n"
        "assert not thread.is_alive()\n",
    )


def test_switch_interval_is_set_while_run_serves_and_put_back(python: Python) -> None:
    done = python(
        HEAD % "auto" + "@app.get('/interval')\n"
        "async def interval():\n"
        "    print(sys.getswitchinterval())\n"
        "    server.stop()\n"
        "server = Server(app, port=0, switch_interval=0.002)\n"
        "ask_later('/interval')\n"
        "server.run()\n"
        "print(sys.getswitchinterval())\n",
    )
    assert done.stdout == "0.002\n0.005\n"


def test_forked_child_gets_an_exception_and_not_a_hang(python: Python, transport: str) -> None:
    done = python(
        "import warnings\nwarnings.simplefilter('ignore')\n" + HEAD % transport + "server.start()\n"
        "print(get('/fork'))\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    try:\n"
        "        Server(app, port=0).start()\n"
        "    except RuntimeError as error:\n"
        "        print('child:', 'is a fork of it' in str(error), flush=True)\n"
        "    sys.exit(0)\n"  # with atexit and all
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "print(get())\n",
    )
    assert done.stdout == '7\nchild: True\n0\n"hello"\n'


def test_subprocess_and_spawn_work_in_handlers(python: Python, transport: str) -> None:
    done = python(
        HEAD % transport + "import multiprocessing, subprocess\n"
        "@app.get('/subprocess')\n"
        "def run_one():\n"
        "    return subprocess.run([sys.executable, '-c', 'print(5)'], capture_output=True).stdout.decode()\n"
        "@app.get('/asyncio')\n"
        "async def run_async():\n"
        "    child = await asyncio.create_subprocess_exec(sys.executable, '-c', 'print(6)', stdout=-1)\n"
        "    return (await child.communicate())[0].decode()\n"
        "@app.get('/spawn')\n"
        "def spawn():\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        return pool.apply(abs, (-7,))\n"
        "if __name__ == '__main__':\n"
        "    with server:\n"
        "        print(get('/subprocess'), get('/asyncio'), get('/spawn'))\n",
    )
    assert done.stdout == '"5\\n" "6\\n" 7\n'
