"""The names of `fastapi.middleware.cors`."""

from fastapi.middleware.cors import *
