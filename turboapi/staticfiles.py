"""The names of `fastapi.staticfiles`."""

from fastapi.staticfiles import *
