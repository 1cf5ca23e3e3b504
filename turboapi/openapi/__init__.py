"""The names of `fastapi.openapi`."""

from fastapi.openapi import *
