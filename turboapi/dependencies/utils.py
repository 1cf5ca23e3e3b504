"""The names of `fastapi.dependencies.utils`."""

from fastapi.dependencies.utils import *
