"""When the engine is built again: for every change of a Go or C file, and for nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.wheel


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, whose engine has been built."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("go.mod", "go.sum"):
        shutil.copy(ROOT / name, tree)
    (tree / "turboapi").mkdir()
    for name in ("gosrc", "scripts"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    assert "building" in make(tree)
    return tree


def make(tree: Path) -> str:
    """Build the engine of the tree, if that is due; return what was said."""
    done = subprocess.run(
        [sys.executable, "scripts/engine_build.py", "--strict"], cwd=tree, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def append(path: Path, text: str) -> None:
    with path.open("a") as opened:
        opened.write(text)


def test_not_built_again_when_nothing_changed(tree: Path) -> None:
    assert make(tree) == "turboapi: the engine is up to date\n"


def test_not_built_again_when_a_file_was_only_touched(tree: Path) -> None:
    (tree / "gosrc/hot/module.c").touch()
    assert "up to date" in make(tree)


def test_not_built_again_for_a_test(tree: Path) -> None:
    (tree / "gosrc/engine/some_test.go").write_text("package engine\n")
    assert "up to date" in make(tree)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gosrc/hot/module.c", "\n/* changed */\n"),
        ("gosrc/hot/hot.go", "\n// changed\n"),
        ("gosrc/bridge/exchange.h", "\n/* changed */\n"),
        ("go.mod", "\n// changed\n"),
    ],
)
def test_built_again_for_a_change(tree: Path, name: str, text: str) -> None:
    append(tree / name, text)
    assert "turboapi: building" in make(tree)
    assert "up to date" in make(tree)


def test_bindings_generated_again_only_when_the_exported_api_changed(tree: Path) -> None:
    append(tree / "gosrc/engine/engine.go", "\nfunc unexported() {}\n\nvar _ = unexported\n")
    assert "generating" not in make(tree)
    append(tree / "gosrc/engine/engine.go", "\n// Added is new.\nfunc Added() (int, error) { return 1, nil }\n")
    assert "generating" in make(tree)


def test_built_again_when_the_shared_object_is_gone_or_another(tree: Path) -> None:
    (engine,) = (tree / "turboapi").glob("_engine*.so")
    engine.unlink()
    assert "turboapi: building" in make(tree)
    append(engine, "something else")
    assert "turboapi: building" in make(tree)


def test_a_failed_build_keeps_the_last_one_and_says_why(tree: Path) -> None:
    (engine,) = (tree / "turboapi").glob("_engine*.so")
    before = engine.read_bytes()
    broken = tree / "gosrc/engine/broken.go"
    broken.write_text("package engine\n\nfunc broken( {\n")
    done = subprocess.run([sys.executable, "scripts/engine_build.py"], cwd=tree, text=True, capture_output=True)
    broken.unlink()
    assert done.returncode == 1
    assert "broken.go:3" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("turboapi: The engine does not build")
    assert engine.read_bytes() == before
    assert "up to date" in make(tree)


def test_a_warning_in_our_c_fails_a_strict_build(tree: Path) -> None:
    source = tree / "gosrc/hot/module.c"
    before = source.read_text()
    append(source, "\nstatic int nobody_calls(void);\nstatic int nobody_calls(void) { return 1; }\n")
    done = subprocess.run(
        [sys.executable, "scripts/engine_build.py", "--strict"], cwd=tree, text=True, capture_output=True
    )
    source.write_text(before)
    assert done.returncode == 1
    assert "nobody_calls" in done.stderr
