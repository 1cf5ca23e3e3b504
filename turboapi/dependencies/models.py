"""The names of `fastapi.dependencies.models`."""

from fastapi.dependencies.models import *
