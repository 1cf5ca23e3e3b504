"""What pydantic-core alone takes for the answer of the case `rows`: the part that no server can take away.

python benchmarks/rows_floor.py
"""

from __future__ import annotations

import json
import subprocess

import special
from install import Python
from peers import APPS

__all__ = ["floor"]

# The result is checked against the response model, then written as JSON, as FastAPI does it for a route with one.
_TIME = """
import json, timeit
from fastapi_app import ROWS, Row
from pydantic import TypeAdapter
rows = TypeAdapter(list[Row])
check, write = rows.validator.validate_python, rows.serializer.to_json
best = lambda work: min(timeit.repeat(work, number=500, repeat=9)) / 500 * 1e6
print(json.dumps({"check_us": best(lambda: check(ROWS)), "json_us": best(lambda: write(ROWS))}))
"""


def floor(python: Python, _seconds: int, _rounds: int) -> special.Points:
    """Time both halves, in microseconds."""
    asked = subprocess.run([python.executable, "-c", _TIME], cwd=APPS, capture_output=True, text=True, check=True)
    figures = {name: round(value, 2) for name, value in json.loads(asked.stdout).items()}
    return {"pydantic-core for 100 rows": {"turboapi": figures | {"both_us": round(sum(figures.values()), 2)}}}


if __name__ == "__main__":
    special.main(__doc__, floor)
