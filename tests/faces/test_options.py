"""Every documented parameter of the application, the router and the route decorators occurs in a case."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import fastapi
import pytest
from fastapi import APIRouter, FastAPI

from . import apps  # noqa: F401  fills the table
from .case import CASES, version
from .trace import Trace

FUNCTIONS = (
    *("get", "put", "post", "delete", "options", "head", "patch", "trace", "api_route", "add_api_route"),
    *("websocket", "add_api_websocket_route", "include_router", "mount", "frontend"),
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def parameters(function: Callable[..., Any]) -> set[str]:
    found = inspect.signature(function).parameters.values()
    return {each.name for each in found if each.kind is not each.VAR_KEYWORD and each.name != "self"}


@pytest.mark.skipif(
    version(fastapi.__version__) < (0, 165, 0), reason="older releases lack names that the cases leave out"
)
def test_every_parameter_occurs_in_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: dict[str, set[str]] = {}
    given: dict[str, set[str]] = {}
    inside = False

    def watch(owner: type[Any], name: str, shown: str) -> None:
        function = getattr(owner, name)
        signature = inspect.signature(function)
        wanted[shown] = parameters(function)
        given[shown] = set()

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            nonlocal inside
            if inside:  # FastAPI calls these itself, with all parameters
                return function(*args, **kwargs)
            given[shown] |= signature.bind(*args, **kwargs).arguments.keys()
            inside = True
            try:
                return function(*args, **kwargs)
            finally:
                inside = False

        monkeypatch.setattr(owner, name, watched)

    for owner in (FastAPI, APIRouter):
        watch(owner, "__init__", f"{owner.__name__}()")
        for name in FUNCTIONS:
            watch(owner, name, f"{owner.__name__}.{name}()")
    for case in CASES.values():
        if case.missing is None:
            case.factory(Trace())
    missing = [f"{shown}: {name}" for shown in wanted for name in sorted(wanted[shown] - given[shown])]
    assert not missing, "no case gives these parameters:\n" + "\n".join(missing)
