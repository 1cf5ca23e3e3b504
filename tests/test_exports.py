"""`turboapi` offers what `fastapi` offers, under the same names, and FastAPI's own objects."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
from collections.abc import Callable
from types import ModuleType

import fastapi
import pytest

import turboapi

Python = Callable[..., "subprocess.CompletedProcess[str]"]

# Not for applications: FastAPI's own command line, and what its names say is private.
_NOT_PUBLIC = {"fastapi.cli", "fastapi.__main__"}
# Ours drives the engine; it has the same interface.
_ANOTHER = {("fastapi.testclient", "TestClient")}
# Names of ours under a module name of FastAPI's would hide it.
_OURS = {"turboapi.pytest_plugin", "turboapi.app", "turboapi.asgi", "turboapi.cli", "turboapi.engine", "turboapi.plan"}


def public_modules() -> list[str]:
    names = [info.name for info in pkgutil.walk_packages(fastapi.__path__, "fastapi.")]
    return sorted(n for n in names if n not in _NOT_PUBLIC and not any(p.startswith("_") for p in n.split(".")))


def public_names(module: ModuleType) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_") and name != "annotations"]


def test_every_top_level_name_is_fastapis_object() -> None:
    found = [name for name in public_names(fastapi) if not isinstance(vars(fastapi)[name], ModuleType)]
    assert {"FastAPI", "APIRouter", "Depends", "HTTPException", "WebSocketException"} <= set(found)
    for name in [*found, "status"]:
        assert getattr(turboapi, name) is getattr(fastapi, name), name


def test_what_is_here_is_listed_and_importable() -> None:
    space: dict[str, object] = {}
    exec("from turboapi import *", space)
    assert set(turboapi.__all__) <= set(space)
    assert set(turboapi.__all__) <= set(dir(turboapi))


@pytest.mark.filterwarnings("ignore")  # what a module of theirs says about itself
@pytest.mark.parametrize("name", public_modules())
def test_module_has_fastapis_names(name: str) -> None:
    try:
        theirs = importlib.import_module(name)
    except ImportError as error:  # an optional dependency, the same for both
        with pytest.raises(ImportError, match=str(error)):
            importlib.import_module(name.replace("fastapi", "turboapi", 1))
        return
    ours = importlib.import_module(name.replace("fastapi", "turboapi", 1))
    for public in public_names(theirs):
        value = getattr(theirs, public)
        if isinstance(value, ModuleType) and value.__name__.startswith(f"{name}."):
            continue  # a submodule, which is in our package once it is imported
        assert getattr(ours, public) is value or (name, public) in _ANOTHER, public


def test_no_module_of_ours_hides_one_of_fastapis() -> None:
    assert not _OURS & {name.replace("fastapi", "turboapi", 1) for name in public_modules()}


def test_app_is_a_fastapi_under_two_names() -> None:
    assert issubclass(turboapi.App, fastapi.FastAPI)
    assert turboapi.TurboAPI is turboapi.App
    assert turboapi.App(title="Shop", version="2").title == "Shop"


def test_app_takes_no_positional_argument_either() -> None:
    with pytest.raises(TypeError) as theirs:
        fastapi.FastAPI(True)  # type: ignore[misc]
    with pytest.raises(TypeError) as ours:
        turboapi.App(True)  # type: ignore[misc]
    assert str(ours.value) == str(theirs.value)


def test_submodules_are_attributes_where_fastapis_are(python: Python) -> None:
    python(
        "import fastapi, turboapi\n"
        "from types import ModuleType\n"
        "names = [n for n, v in vars(fastapi).items() if isinstance(v, ModuleType) and not n.startswith('_')]\n"
        "assert {'responses', 'routing', 'security', 'encoders'} <= set(names)\n"
        "for name in names:\n"
        "    assert getattr(turboapi, name).__name__ in (f'turboapi.{name}', f'starlette.{name}'), name\n"
        "assert turboapi.responses.JSONResponse is fastapi.responses.JSONResponse\n"
    )


def test_names_of_the_test_client() -> None:
    import starlette.testclient

    import turboapi.testclient

    assert turboapi.testclient.WebSocketDenialResponse is starlette.testclient.WebSocketDenialResponse
    assert turboapi.testclient.WebSocketTestSession.__name__ == "WebSocketTestSession"
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        turboapi.testclient.Nothing  # type: ignore[attr-defined]


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'turboapi' has no attribute 'FlaskAPI'"):
        turboapi.FlaskAPI  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        exec("from turboapi import nothing_like_this")


def test_name_that_a_newer_fastapi_adds_is_here_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    marker = object()
    monkeypatch.setattr(fastapi, "SomethingNew", marker, raising=False)
    assert turboapi.SomethingNew is marker  # type: ignore[attr-defined]
    monkeypatch.delattr(turboapi, "SomethingNew")


def test_importing_the_package_imports_neither_fastapi_nor_the_engine(python: Python) -> None:
    python(
        "import sys, turboapi\n"
        "assert turboapi.__version__\n"
        "assert 'fastapi' not in sys.modules and 'turboapi._engine' not in sys.modules\n"
        "from turboapi import Server\n"
        "assert 'fastapi' not in sys.modules and 'turboapi._engine' not in sys.modules\n"
        "from turboapi import App\n"
        "assert 'fastapi' in sys.modules and 'turboapi._engine' not in sys.modules\n"
    )
