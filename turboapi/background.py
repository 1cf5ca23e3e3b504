"""The names of `fastapi.background`."""

from fastapi.background import *
