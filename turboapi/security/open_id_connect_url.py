"""The names of `fastapi.security.open_id_connect_url`."""

from fastapi.security.open_id_connect_url import *
