"""What can go wrong before a server serves, each with a message for the one who started it."""

from __future__ import annotations

__all__ = ["BindError", "EngineError", "StartupFailed"]


class BindError(OSError):
    """The address cannot be listened on; the message says why, `errno` is the system's."""


class StartupFailed(RuntimeError):
    """The application's lifespan start-up failed. Its own report is in the log, its exception is the cause."""


class EngineError(RuntimeError):
    """The engine refused a call of the control plane; the message is its own."""
