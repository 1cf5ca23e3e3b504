"""The names of `fastapi.middleware.asyncexitstack`."""

from fastapi.middleware.asyncexitstack import *
