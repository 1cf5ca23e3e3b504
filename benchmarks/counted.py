"""Serves fastapi_app on TurboAPI; for every line on standard input it prints the server's counters as JSON.

python counted.py PORT TRANSPORT
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

__all__ = ["PIPES", "counters"]

# How Process has to be started so that `counters` can ask.
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}


def counters(popen: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Ask a server that was started by this file, with PIPES, for its counters."""
    assert popen.stdin is not None
    assert popen.stdout is not None
    popen.stdin.write(b"\n")
    popen.stdin.flush()
    answer: dict[str, Any] = json.loads(popen.stdout.readline())
    return answer


def main() -> None:
    port, transport = int(sys.argv[1]), sys.argv[2]
    sys.path.insert(0, str(Path(__file__).parent / "apps"))
    from fastapi_app import app

    import turboapi

    server = turboapi.Server(app, port=port, transport=transport, loop="uvloop", access_log=False, log_level="warning")

    def tell() -> None:
        for _ in sys.stdin:
            print(json.dumps(server.stats()), flush=True)

    threading.Thread(target=tell, name="counters", daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()
