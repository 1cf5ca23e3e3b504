"""Every application that the documentation shows: both faces answer the same."""

from __future__ import annotations

import ast
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.docs.test_docs import PYTHON, Fence

from . import request as make
from .both import Both
from .generate import always_these, from_schema
from .request import Request
from .trace import Trace

EXAMPLES = 25

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def shown(fence: Fence) -> Any:
    """Return the application of a fence, made anew: what the fence then does with it is left out."""
    tree = ast.parse(fence.text)
    kept = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    tree.body = [node for node in tree.body if isinstance(node, kept)]
    space: dict[str, Any] = {"__name__": "shown"}
    exec(compile(tree, fence.name, "exec"), space)
    return space["app"]


APPLICATIONS = [fence for fence in PYTHON if "app = App(" in fence.text or "app = FastAPI(" in fence.text]


def test_there_are_some() -> None:
    assert len(APPLICATIONS) >= 4


@pytest.mark.parametrize("fence", APPLICATIONS, ids=lambda fence: fence.name)
def test_both_faces_answer_alike(fence: Fence, transport: str) -> None:
    def factory(trace: Trace) -> Any:
        return shown(fence)

    with closing(Both(factory, transport)) as both:
        assert both.get("/openapi.json").status == 200
        for path in both.own.app.openapi()["paths"]:
            for asked in (make.get(path), make.head(path), make.post(path), make.get(f"{path}/")):
                both.ask(asked)

        @always_these(EXAMPLES)
        @given(st.one_of(from_schema(both.own.app.openapi())))
        def alike(asked: Request) -> None:
            both.ask(asked)

        alike()
