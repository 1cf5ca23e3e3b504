"""The names of `fastapi.security.oauth2`."""

from fastapi.security.oauth2 import *
