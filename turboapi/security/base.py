"""The names of `fastapi.security.base`."""

from fastapi.security.base import *
