"""The names of `fastapi.types`."""

from fastapi.types import *
