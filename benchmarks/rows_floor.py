"""What pydantic-core alone takes for the cases `rows` and `rows-post`: the part that no server can take away.

python benchmarks/rows_floor.py
"""

from __future__ import annotations

import json
import subprocess

import special
from install import Python
from peers import APPS

__all__ = ["floor"]

# A body is read. A result is checked against the response model and written, as FastAPI does it for a route with one.
_TIME = """
import json, timeit
from fastapi_app import ROWS, Row
from pydantic import TypeAdapter
rows = TypeAdapter(list[Row])
read, check, write = rows.validator.validate_json, rows.validator.validate_python, rows.serializer.to_json
sent = write(ROWS)
best = lambda work: min(timeit.repeat(work, number=500, repeat=9)) / 500 * 1e6
print(json.dumps({
    "read_us": best(lambda: read(sent)), "check_us": best(lambda: check(ROWS)), "json_us": best(lambda: write(ROWS)),
}))
"""


def floor(python: Python, _seconds: int, _rounds: int) -> special.Points:
    """Time the parts, in microseconds."""
    asked = subprocess.run([python.executable, "-c", _TIME], cwd=APPS, capture_output=True, text=True, check=True)
    figures = {name: round(value, 2) for name, value in json.loads(asked.stdout).items()}
    both, every = figures["check_us"] + figures["json_us"], sum(figures.values())
    figures |= {"out_us": round(both, 2), "in_out_us": round(every, 2)}
    return {"pydantic-core for 100 rows": {"turboapi": figures}}


if __name__ == "__main__":
    special.main(__doc__, floor)
