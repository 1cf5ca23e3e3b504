"""The stub of the C module says what is there, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from turboapi.engine import _load
from turboapi.engine import serving as serving_module

STUB = ast.parse((Path(serving_module.__file__).parent / "_hot.pyi").read_text())
CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}


def members(name: str) -> set[str]:
    return {node.name for node in CLASSES[name].body if isinstance(node, ast.FunctionDef)} - {"__init__"} | {
        node.target.id
        for node in CLASSES[name].body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


@pytest.mark.parametrize("name", ["Server", "Exchange"])
def test_methods_and_attributes(name: str) -> None:
    found = {member for member in vars(getattr(_load.hot(), name)) if not member.startswith("_")}
    assert members(name) == found


def test_arguments_of_the_server() -> None:
    init = next(n for n in CLASSES["Server"].body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
    positional = [argument.arg for argument in init.args.args[1:]]
    named = [argument.arg for argument in init.args.kwonlyargs]
    values: dict[str, object] = {**dict.fromkeys(named), "state": {}, "root_path": "", "limit": 1, "queue_limit": 1}
    with pytest.raises(TypeError, match=f"takes at most {len(positional) + len(named)} arguments"):
        _load.hot().Server(*[0 for _ in positional], **{**values, "nonsense": None})
    for missing in named:
        fewer = {name: value for name, value in values.items() if name != missing}
        with pytest.raises(TypeError, match=rf"missing required argument '{missing}'"):
            _load.hot().Server(*[0 for _ in positional], **fewer)


def test_fallback_is_an_exception() -> None:
    assert issubclass(_load.hot().Fallback, Exception)
