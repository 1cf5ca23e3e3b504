"""The names of `fastapi.logger`."""

from fastapi.logger import *
