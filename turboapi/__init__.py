"""TurboAPI: FastAPI applications served by a Go engine inside the Python process.

`App` is a `fastapi.FastAPI` that can serve itself, `Server` serves any ASGI application. Every name that `fastapi`
offers at its top level is here too, and FastAPI's modules are under the same names (`turboapi.responses`, ...).
Names are imported when they are first used: `import turboapi` alone imports neither FastAPI nor the engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__ as __version__

if TYPE_CHECKING:
    from fastapi import APIRouter as APIRouter
    from fastapi import BackgroundTasks as BackgroundTasks
    from fastapi import Body as Body
    from fastapi import Cookie as Cookie
    from fastapi import Depends as Depends
    from fastapi import FastAPI as FastAPI
    from fastapi import File as File
    from fastapi import Form as Form
    from fastapi import Header as Header
    from fastapi import HTTPException as HTTPException
    from fastapi import Path as Path
    from fastapi import Query as Query
    from fastapi import Request as Request
    from fastapi import Response as Response
    from fastapi import Security as Security
    from fastapi import UploadFile as UploadFile
    from fastapi import WebSocket as WebSocket
    from fastapi import WebSocketDisconnect as WebSocketDisconnect
    from fastapi import WebSocketException as WebSocketException
    from fastapi import status as status

    from .app import App as App
    from .app import TurboAPI as TurboAPI
    from .engine.failures import BindError as BindError
    from .engine.failures import EngineError as EngineError
    from .engine.failures import StartupFailed as StartupFailed
    from .engine.server import Server as Server

# Name -> the module that has it.
_NAMES = {
    "App": "turboapi.app",
    "TurboAPI": "turboapi.app",
    "Server": "turboapi.engine.server",
    "BindError": "turboapi.engine.failures",
    "EngineError": "turboapi.engine.failures",
    "StartupFailed": "turboapi.engine.failures",
} | dict.fromkeys(
    (
        "APIRouter",
        "BackgroundTasks",
        "Body",
        "Cookie",
        "Depends",
        "FastAPI",
        "File",
        "Form",
        "HTTPException",
        "Header",
        "Path",
        "Query",
        "Request",
        "Response",
        "Security",
        "UploadFile",
        "WebSocket",
        "WebSocketDisconnect",
        "WebSocketException",
        "status",
    ),
    "fastapi",
)

__all__ = ["__version__", *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(import_module(_NAMES[name]), name)
    elif name.startswith("_"):
        raise AttributeError(f"module 'turboapi' has no attribute {name!r}")
    else:
        # A name that a newer FastAPI has, or one of its submodules that `import fastapi` imports as well.
        fastapi = import_module("fastapi")
        value = vars(fastapi).get(name)
        if getattr(value, "__name__", "") == f"fastapi.{name}":
            try:
                value = import_module(f"turboapi.{name}")
            except ModuleNotFoundError:
                value = None
        if value is None:
            raise AttributeError(f"module 'turboapi' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
