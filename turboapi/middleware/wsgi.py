"""The names of `fastapi.middleware.wsgi`."""

from fastapi.middleware.wsgi import *
