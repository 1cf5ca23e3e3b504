"""A PostgreSQL of our own: a fresh database in a temporary directory, on a free port; it is removed in the end."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from install import NotAvailable
from processes import children_die_with_us, free_port

__all__ = ["Postgres"]

START_SECONDS = 30
STOP_SECONDS = 10
# Nothing here outlives the run, so nothing has to reach the disk.
OPTIONS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB", "max_connections": "100"}
# The row that is asked for is number 42.
FILL = """
CREATE TABLE items (id integer PRIMARY KEY, name text NOT NULL, price float8 NOT NULL, tags text[] NOT NULL);
INSERT INTO items SELECT n, 'item ' || n, n + 0.5, ARRAY['a', 'b'] FROM generate_series(1, 1000) AS n;
ANALYZE items;
"""


class Postgres:
    """A running server with the table `items`. A context manager; `url` is what asyncpg connects to."""

    def __init__(self) -> None:
        self._programs = _programs()
        self._user = _user()
        self._port = free_port()
        self.url = f"postgresql://bench@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turboapi-postgres-")))
            if self._user:
                os.chown(folder, self._user["user"], self._user["group"])
            self._run(
                "initdb", "-D", f"{folder}/data", "-U", "bench", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"
            )
            stack.callback(self._stop, self._start(folder))
            self._wait(folder / "log")
            self._run("psql", self.url, "-q", "-v", "ON_ERROR_STOP=1", "-c", FILL)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        options = OPTIONS | {"unix_socket_directories": str(folder), "listen_addresses": "127.0.0.1"}
        command = [str(self._programs / "postgres"), "-D", f"{folder}/data", "-p", str(self._port)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            # SIGINT: it ends its sessions and stops, instead of waiting for clients.
            return subprocess.Popen(
                command,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=children_die_with_us(signal.SIGINT),
                **self._user,
            )

    def _wait(self, log: Path) -> None:
        end = time.monotonic() + START_SECONDS
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        while subprocess.run(ready).returncode != 0:
            if time.monotonic() > end:
                raise NotAvailable(f"PostgreSQL did not start within {START_SECONDS} s:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)

    def _stop(self, server: subprocess.Popen[bytes]) -> None:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Its processes end when it is gone.
            server.kill()
            server.wait()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(
            command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, **self._user
        )
        if done.returncode != 0:
            raise NotAvailable(f"{program} failed:\n{done.stdout.strip()[-2000:]}")


def _programs() -> Path:
    """Return the folder with PostgreSQL's programs. Raises NotAvailable."""
    # Debian keeps them out of PATH, a folder per release.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: folder.parent.name.zfill(4))
    found = shutil.which("initdb")
    folders += [Path(found).resolve().parent] if found else []
    for folder in reversed(folders):
        if all((folder / name).exists() for name in ("initdb", "postgres", "pg_isready", "psql")):
            return folder
    raise NotAvailable("PostgreSQL is missing (on Debian: apt-get install postgresql).")


def _user() -> dict[str, Any]:
    """Return as whom it runs, for subprocess: PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NotAvailable("PostgreSQL does not run as root, and there is no user postgres or nobody.")
