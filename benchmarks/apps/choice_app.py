"""The same work in `async def` and in `def`, for the page on which of them to take."""

import asyncio
import time

from fastapi import FastAPI

app = FastAPI()

WAIT_SECONDS = 0.01
# About four milliseconds of Python that holds the GIL.
TURNS = 40_000


def compute() -> int:
    total = 0
    for number in range(TURNS):
        total += number * number
    return total


@app.get("/quick/async")
async def quick_async():
    return {"message": "hello"}


@app.get("/quick/def")
def quick_def():
    return {"message": "hello"}


@app.get("/wait/async")
async def wait_async():
    await asyncio.sleep(WAIT_SECONDS)
    return {"message": "waited"}


@app.get("/wait/def")
def wait_def():
    time.sleep(WAIT_SECONDS)
    return {"message": "waited"}


@app.get("/wait/blocking")
async def wait_blocking():
    """Do it the wrong way: the whole loop stands still."""
    time.sleep(WAIT_SECONDS)
    return {"message": "waited"}


@app.get("/compute/async")
async def compute_async():
    return {"total": compute()}


@app.get("/compute/def")
def compute_def():
    return {"total": compute()}
