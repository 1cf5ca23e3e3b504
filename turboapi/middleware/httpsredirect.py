"""The names of `fastapi.middleware.httpsredirect`."""

from fastapi.middleware.httpsredirect import *
