"""The names of `fastapi.websockets`."""

from fastapi.websockets import *
