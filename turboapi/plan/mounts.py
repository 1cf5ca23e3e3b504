"""FastAPI applications mounted in an application: their routes run from plans of the outer one's table.

Each has a stack of its own, so each has its own answers to exceptions. Its
entries always make the Request, whose scope says whose they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from .errors import Errors

__all__ = ["ErrorsByApplication", "MountedErrors"]


class MountedErrors(Errors):
    """Answers the exceptions of a mounted application's compiled routes.

    Its 500 is an answer like any other to the stack around it, so it does not go past CORS.
    """

    @staticmethod
    def outermost(response: Any) -> Any:
        """Return the response as it is."""
        return response


class ErrorsByApplication:
    """Hands an exception to the rules of the application whose route raised it."""

    def __init__(self, main: Errors, mounted: Mapping[int, Errors]) -> None:
        """mounted: by the identity of the application, which the rules keep alive."""
        self._main = main
        self._mounted = mounted

    def quick(self, proxy: Any, exc: BaseException) -> Response | None:
        """Do as `Errors.quick`."""
        return self._of(proxy).quick(proxy, exc)

    async def handle(self, proxy: Any, exc: BaseException) -> Response | None:
        """Do as `Errors.handle`."""
        return await self._of(proxy).handle(proxy, exc)

    def _of(self, proxy: Any) -> Errors:
        request = proxy.request
        return self._main if request is None else self._mounted.get(id(request.scope.get("app")), self._main)
