"""The names of `fastapi.applications`."""

from fastapi.applications import *
