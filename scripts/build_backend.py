"""The build backend: setuptools', which also asks for Go where there is none."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import engine_build
import setuptools.build_meta as _setuptools
from setuptools.build_meta import (
    build_sdist,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from toolchain import ROOT, go_on_path, go_requirement

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

Settings = dict[str, str | list[str] | None] | None


def _go_requirement() -> list[str]:
    return [] if go_on_path() else [go_requirement()]


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Return what to install before a wheel is built: the Go toolchain, if no fit `go` is on PATH."""
    return [*_setuptools.get_requires_for_build_wheel(config_settings), *_go_requirement()]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """Return what to install before an editable install."""
    return [*_setuptools.get_requires_for_build_editable(config_settings), *_go_requirement()]


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Build a wheel from nothing but the sources: setuptools alone would keep files that were deleted since."""
    for leftover in (ROOT / "build").glob("lib*"):
        shutil.rmtree(leftover)
    return _setuptools.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Build an editable install; the shared object goes beside the Python files of the source tree.

    With the setting engine=later it is not built now: whoever sets it calls scripts/engine_build.py afterwards.
    """
    if (config_settings or {}).get("engine") == "later":
        engine_build.postponed = True
    return _setuptools.build_editable(wheel_directory, config_settings, metadata_directory)
