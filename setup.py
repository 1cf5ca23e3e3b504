"""Tells setuptools how the engine is built; everything else stands in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

import engine_build
from toolchain import Missing


class BuildEngine(build_ext):
    """Builds the one extension with Go instead of a C compiler alone."""

    def build_extension(self, ext: Extension) -> None:
        """Bring the extension up to date at the place where setuptools expects it."""
        if engine_build.postponed:
            return
        try:
            engine_build.build(Path(self.get_ext_fullpath(ext.name)))
        except Missing as missing:
            raise SystemExit(f"turboapi: {missing}") from None

    def copy_extensions_to_source(self) -> None:
        """Do nothing: in place, build_extension has written beside the sources already."""

    def get_outputs(self) -> list[str]:
        """Return the one file that is built."""
        return [self.get_ext_fullpath(ext.name) for ext in self.extensions]


setup(ext_modules=[Extension("turboapi._engine", sources=[])], cmdclass={"build_ext": BuildEngine})
