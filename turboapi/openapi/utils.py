"""The names of `fastapi.openapi.utils`."""

from fastapi.openapi.utils import *
