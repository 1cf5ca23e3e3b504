"""The names of `fastapi.param_functions`."""

from fastapi.param_functions import *
