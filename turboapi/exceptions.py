"""The names of `fastapi.exceptions`."""

from fastapi.exceptions import *
