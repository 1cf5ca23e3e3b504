"""The names of `fastapi.datastructures`."""

from fastapi.datastructures import *
