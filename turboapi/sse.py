"""The names of `fastapi.sse`."""

from fastapi.sse import *
