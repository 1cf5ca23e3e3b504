"""The names of `fastapi.exception_handlers`."""

from fastapi.exception_handlers import *
