"""The names of `fastapi.middleware.trustedhost`."""

from fastapi.middleware.trustedhost import *
