"""The names of `fastapi.dependencies`."""

from fastapi.dependencies import *
