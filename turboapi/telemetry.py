"""The names of `fastapi.telemetry`."""

from fastapi.telemetry import *
