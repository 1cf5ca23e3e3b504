"""Server processes: start, wait until they answer, what they use, stop. Everything is by process number."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = ["Asked", "DidNotStart", "Process", "children_die_with_us", "free_port", "get"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class DidNotStart(Exception):
    """A server that ended or stayed silent; the text carries the end of what it printed."""


def children_die_with_us(number: int = signal.SIGTERM) -> Callable[[], None]:
    """Return a preexec_fn: the child gets this signal when we die, even of SIGKILL."""
    parent = os.getpid()

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: a GET, or a POST where there is a body."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None

    def once(self, port: int, *, timeout: float = 10.0) -> tuple[int, Mapping[str, str], bytes]:
        """Ask 127.0.0.1 once; return status, headers and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("GET" if self.body is None else "POST", self.path, self.body, dict(self.headers))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()


def get(port: int, path: str, *, timeout: float = 10.0) -> tuple[int, bytes]:
    """Return status and body of one GET from 127.0.0.1."""
    status, _headers, body = Asked(path).once(port, timeout=timeout)
    return status, body


class Process:
    """A running server and its descendants. A context manager: leaving it stops them all."""

    def __init__(self, name: str, command: list[str], *, port: int, cwd: Path, log: Path, **popen: Any) -> None:
        self.name = name
        self.port = port
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        popen.setdefault("stdin", subprocess.DEVNULL)
        with log.open("wb") as output:
            popen.setdefault("stdout", output)
            self.popen = subprocess.Popen(
                command, cwd=cwd, stderr=output, preexec_fn=children_die_with_us(), start_new_session=True, **popen
            )
        self.pid = self.popen.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_until_ready(self, path: str, *, seconds: float = 30.0) -> None:
        """Return once a GET is answered, whatever the status. Raises DidNotStart."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.popen.poll() is not None:
                raise DidNotStart(f"{self.name} ended with code {self.popen.returncode}:\n{self.tail()}")
            try:
                get(self.port, path, timeout=5.0)
                return
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)
        raise DidNotStart(f"{self.name} answered nothing for {seconds:g} s:\n{self.tail()}")

    def tail(self, lines: int = 12) -> str:
        """Return the end of what the server printed."""
        try:
            text = self._log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def tree(self) -> list[int]:
        """Return the process numbers of the server and of all its descendants."""
        return _descendants(self.pid)

    def cpu(self) -> float:
        """Return the processor seconds that the tree has used, threads that ended included, in steps of 1 ns."""
        return sum(_cpu(pid) for pid in self.tree())

    def rss(self) -> int:
        """Return the resident memory of the tree in bytes; pages shared by two processes count twice."""
        return sum(_statm(pid) for pid in self.tree())

    def descriptors(self) -> int:
        """Return how many descriptors the server's first process has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        """Return how many threads the server's first process has."""
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def stop(self, *, seconds: float = 3.0) -> int | None:
        """Ask the server to stop, kill what is left after `seconds`, and return the exit code."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        for pid in _session(self.pid):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(5)
        for pipe in (self.popen.stdin, self.popen.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        return self.popen.returncode


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _session(leader: int) -> list[int]:
    """Return the processes of a server, orphans of it included: it was started as the leader of a session."""
    found = []
    for pid, _parent in _parents():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                found.append(pid)
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as stat:
                # The name stands in parentheses and may hold anything.
                yield int(entry), int(stat.read().rsplit(b")", 1)[1].split()[1])


def _cpu(pid: int) -> float:
    # The kernel's number of a process's own clock, as clock_getcpuclockid(3) makes it.
    with contextlib.suppress(OSError):
        return time.clock_gettime(((~pid) << 3) | 2)
    return 0.0


def _statm(pid: int) -> int:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * _PAGE
    return 0
