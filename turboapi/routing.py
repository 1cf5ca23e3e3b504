"""The names of `fastapi.routing`."""

from fastapi.routing import *
