"""The names of `fastapi.concurrency`."""

from fastapi.concurrency import *
