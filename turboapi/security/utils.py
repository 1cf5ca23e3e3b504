"""The names of `fastapi.security.utils`."""

from fastapi.security.utils import *
