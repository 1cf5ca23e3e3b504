"""The names of `fastapi.requests`."""

from fastapi.requests import *
