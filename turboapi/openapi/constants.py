"""The names of `fastapi.openapi.constants`."""

from fastapi.openapi.constants import *
