"""From the start of the process to the first answer, and how much of it is the application's own import.

python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import time
from statistics import median

import special
from install import Python
from peers import APPS, start
from processes import DidNotStart, Process, get

__all__ = ["startup"]

TIMES = 7
_IMPORT = "import time; t = time.perf_counter(); import fastapi_app; print(time.perf_counter() - t)"


def startup(python: Python, _seconds: int, _rounds: int) -> special.Points:
    """Start TurboAPI and uvicorn several times, in turn, between imports of the application alone."""
    imports: list[float] = []
    answers: dict[str, list[float]] = {"turboapi": [], "uvicorn": []}
    for number in range(TIMES + 1):
        imported = _import_seconds(python)
        taken = {name: _first_answer(name, python) for name in answers}
        if number == 0:
            continue  # files are being read from the disk and compiled
        imports.append(imported)
        for name, seconds in taken.items():
            answers[name].append(seconds)
    own = 1e3 * median(imports)
    figures = {}
    for name, taken_by in answers.items():
        whole = 1e3 * median(taken_by)
        figures[name] = {
            "first_answer_ms": round(whole, 1),
            "app_import_ms": round(own, 1),
            "over_import_ms": round(whole - own, 1),
            "fastest_ms": round(1e3 * min(taken_by), 1),
        }
    return {"start": figures}


def _import_seconds(python: Python) -> float:
    asked = subprocess.run([python.executable, "-c", _IMPORT], cwd=APPS, capture_output=True, text=True, check=True)
    return float(asked.stdout)


def _first_answer(name: str, python: Python) -> float:
    began = time.perf_counter()
    with start(name, python) as server:
        _wait(server)
        return time.perf_counter() - began


def _wait(server: Process) -> None:
    while server.popen.poll() is None:
        try:
            status, _body = get(server.port, "/async")
        except ConnectionError:
            time.sleep(0.001)
            continue
        if status == 200:
            return
    raise DidNotStart(f"{server.name} ended:\n{server.tail()}")


if __name__ == "__main__":
    special.main(__doc__, startup)
