"""The work of database_app that no server can take away: its query by asyncpg, its model by pydantic, nothing else.

python database_floor.py TASKS SECONDS prints what it came to as JSON.
"""

import asyncio
import json
import os
import sys
import time

import asyncpg
import uvloop
from database_app import QUERY, Item
from pydantic import TypeAdapter


async def main(tasks: int, seconds: float) -> None:
    model = TypeAdapter(Item)
    check, write = model.validator.validate_python, model.serializer.to_json
    took: list[float] = []

    async def ask(pool: asyncpg.Pool, end: float) -> None:
        while (began := time.perf_counter()) < end:
            async with pool.acquire() as connection:
                row = await connection.fetchrow(QUERY, 42)
            write(check(dict(row)))
            took.append(time.perf_counter() - began)

    async with asyncpg.create_pool(os.environ["DATABASE"], min_size=10, max_size=10) as pool:
        used, began = time.process_time(), time.perf_counter()
        await asyncio.gather(*(ask(pool, began + seconds) for _ in range(tasks)))
        used, lasted = time.process_time() - used, time.perf_counter() - began
    took.sort()
    figures = {"requests": len(took), "rps": len(took) / lasted, "cpu_us": 1e6 * used / len(took)}
    print(json.dumps(figures | {f"p{p}_ms": 1e3 * took[len(took) * p // 100] for p in (50, 99)}))


uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
