"""The names of `fastapi.security.api_key`."""

from fastapi.security.api_key import *
