"""Finding the application: each mistake gets its own words and exit code, a user's exception the user's traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from turboapi.cli.load import LoadError, load

SOURCE = """
async def app(scope, receive, send): ...
def make(): return app
def make_nothing(): return 3
def make_trouble(): raise ValueError("no database")
number = 5
class Holder:
    inner = app
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "shop_main.py").write_text(SOURCE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("shop"):
            del sys.modules[name]


def found(directory: Path, target: str, *, factory: bool = False) -> object:
    return load(target, app_dir=str(directory), factory=factory)


def refused(directory: Path, target: str, *, factory: bool = False) -> LoadError:
    with pytest.raises(LoadError) as caught:
        found(directory, target, factory=factory)
    return caught.value


def test_module_and_name(directory: Path) -> None:
    app = found(directory, "shop_main:app")
    assert app is sys.modules["shop_main"].app


def test_name_with_dots(directory: Path) -> None:
    assert found(directory, "shop_main:Holder.inner") is sys.modules["shop_main"].app


def test_factory_is_called(directory: Path) -> None:
    assert found(directory, "shop_main:make", factory=True) is sys.modules["shop_main"].app


def test_current_directory_is_looked_at_first(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    assert load("shop_main:app") is sys.modules["shop_main"].app


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("shop_mian:app", "no module named 'shop_mian' in "),
        ("shop_main.routers:app", "no module named 'shop_main.routers' in "),
        ("shop_nowhere.main:app", "no module named 'shop_nowhere' in "),
        ("shop_main:ap", "module 'shop_main' has no attribute 'ap'; did you mean shop_main:app?"),
        ("shop_main:Holder.iner", "shop_main:Holder has no attribute 'iner'; did you mean shop_main:Holder.inner?"),
        ("shop_main:zzz", "module 'shop_main' has no attribute 'zzz'"),
        ("shop_main", "'shop_main' names no application; give it as in shop_main:app"),
        ("shop_main:", "'shop_main:' is not of the form MODULE:APP, such as main:app"),
        (":app", "':app' is not of the form MODULE:APP, such as main:app"),
        ("shop_main.py:app", "'shop_main.py' is a file; give its module name, as in shop_main:app"),
        ("shop/main.py:app", "'shop/main.py' is a file; give its module name, as in shop.main:app"),
        ("shop_main:number", "'shop_main:number' is an int, not an ASGI application"),
    ],
)
def test_mistake_gets_its_own_words_and_code_2(directory: Path, target: str, message: str) -> None:
    error = refused(directory, target)
    assert str(error).startswith(message)
    assert error.code == 2


def test_factory_that_is_none_gets_code_2(directory: Path) -> None:
    assert (refused(directory, "shop_main:number", factory=True).code) == 2
    assert "is an int, not an ASGI" in str(refused(directory, "shop_main:make_nothing", factory=True))


def test_directory_that_is_not_there_gets_code_2(directory: Path) -> None:
    error = refused(directory / "nowhere", "shop_main:app")
    assert error.code == 2
    assert "is not a directory" in str(error)


def test_exception_at_import_shows_only_the_users_frames(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "shop_broken.py").write_text("import shop_helper\n")
    (directory / "shop_helper.py").write_text("raise RuntimeError('no such table')\n")
    error = refused(directory, "shop_broken:app")
    assert (error.code, str(error)) == (1, "importing 'shop_broken' failed")
    shown = capsys.readouterr().err
    assert "RuntimeError: no such table" in shown
    assert shown.count("  File ") == 2 + shown.count("importlib")
    assert shown.index("shop_broken.py") < shown.index("shop_helper.py")
    assert "turboapi" not in shown


def test_syntax_error_is_the_users(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "shop_syntax.py").write_text("def app(:\n")
    assert refused(directory, "shop_syntax:app").code == 1
    shown = capsys.readouterr().err
    assert "SyntaxError" in shown
    assert "shop_syntax.py" in shown
    assert "turboapi" not in shown


def test_import_that_the_user_misses_is_the_users(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "shop_needs.py").write_text("import shop_not_installed\n")
    assert refused(directory, "shop_needs:app").code == 1
    assert "No module named 'shop_not_installed'" in capsys.readouterr().err


def test_exception_of_a_factory_shows_only_the_users_frames(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(directory, "shop_main:make_trouble", factory=True).code == 1
    shown = capsys.readouterr().err
    assert shown.count("  File ") == 1
    assert "ValueError: no database" in shown
