"""Loads the engine: one shared object that holds two Python modules.

`turboapi._engine` is the control plane (made by gopy), `turboapi._hot` the hot
path (C). Both come from the same file, because a second file would be a second
Go runtime in the process. Nothing is loaded until somebody asks: the Go runtime
starts threads, and a process that forks before it serves must not have them.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import threading
from types import ModuleType

__all__ = ["EngineMissing", "EngineForked", "engine", "hot", "loaded"]

_ENGINE = "turboapi._engine"
_HOT = "turboapi._hot"

_lock = threading.Lock()
# The process that loaded the engine, 0 before that.
_owner = 0
_modules: tuple[ModuleType, ModuleType] | None = None


class EngineMissing(ImportError):
    """The package has no shared object for this Python."""


class EngineForked(RuntimeError):
    """The engine was loaded before a fork, and its threads are not in the child."""


def loaded() -> bool:
    """Return whether this process, or the one it was forked from, has loaded the engine."""
    return _modules is not None


def engine() -> ModuleType:
    """Return `turboapi._engine`, the control plane, loading it the first time.

    Raises EngineMissing when it was not built for this Python, EngineForked in
    a child that was forked after its parent had loaded it.
    """
    return _load()[0]


def hot() -> ModuleType:
    """Return `turboapi._hot`, the hot path, loading it the first time. Raises as engine() does."""
    return _load()[1]


def _load() -> tuple[ModuleType, ModuleType]:
    global _modules, _owner
    modules = _modules
    if modules is None:
        with _lock:
            if _modules is None:
                control = _control_plane()
                _owner = os.getpid()
                _modules = (control, _hot_path(control))
            modules = _modules
    if _owner != os.getpid():
        raise EngineForked(
            f"the engine was loaded by process {_owner} and process {os.getpid()} is a fork of it: Go's threads "
            "do not survive a fork. Start workers with multiprocessing's 'spawn', or load the engine after the fork."
        )
    return modules


def _control_plane() -> ModuleType:
    try:
        return importlib.import_module(_ENGINE)
    except ModuleNotFoundError as missing:
        if missing.name != _ENGINE:
            raise
        suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
        raise EngineMissing(
            f"there is no turboapi/_engine{suffix}: the engine was not built for this Python. "
            "Reinstall the package, or run `make dev` in its source tree.",
            name=_ENGINE,
        ) from missing


def _hot_path(control: ModuleType) -> ModuleType:
    path = control.__file__
    loader = importlib.machinery.ExtensionFileLoader(_HOT, str(path))
    spec = importlib.util.spec_from_file_location(_HOT, path, loader=loader)
    if spec is None:
        raise EngineMissing(f"{path} cannot be loaded as {_HOT}", name=_HOT, path=path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[_HOT] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[_HOT]
        raise
    # As the import system does it: `import turboapi._hot` must give the attribute, too.
    parent, _, name = _HOT.rpartition(".")
    setattr(sys.modules[parent], name, module)
    return module
