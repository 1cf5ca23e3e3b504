"""The names of `fastapi.templating`."""

from fastapi.templating import *
