"""The names of `fastapi.responses`."""

from fastapi.responses import *
