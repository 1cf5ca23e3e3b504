"""The names of `fastapi.openapi.docs`."""

from fastapi.openapi.docs import *
