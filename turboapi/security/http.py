"""The names of `fastapi.security.http`."""

from fastapi.security.http import *
