"""The names of `fastapi.encoders`."""

from fastapi.encoders import *
