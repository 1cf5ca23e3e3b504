"""The names of `fastapi.openapi.models`."""

from fastapi.openapi.models import *
