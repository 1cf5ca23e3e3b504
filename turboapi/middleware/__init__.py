"""The names of `fastapi.middleware`."""

from fastapi.middleware import *
