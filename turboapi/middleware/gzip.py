"""The names of `fastapi.middleware.gzip`."""

from fastapi.middleware.gzip import *
