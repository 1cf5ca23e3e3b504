"""The names of `fastapi.testclient`."""

from fastapi.testclient import *
