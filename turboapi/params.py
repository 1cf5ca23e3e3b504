"""The names of `fastapi.params`."""

from fastapi.params import *
