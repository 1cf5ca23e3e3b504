"""The names of `fastapi.utils`."""

from fastapi.utils import *
