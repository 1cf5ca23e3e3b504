"""TurboAPI: FastAPI applications served by a Go engine inside the Python process."""

from ._version import __version__ as __version__

__all__ = ["__version__"]
