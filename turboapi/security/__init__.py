"""The names of `fastapi.security`."""

from fastapi.security import *
