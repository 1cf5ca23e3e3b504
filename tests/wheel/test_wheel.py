"""The wheel: built from the source archive, looked into, installed into an empty environment, imported."""

from __future__ import annotations

import email.message
import email.parser
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINE = f"turboapi/_engine{sysconfig.get_config_var('EXT_SUFFIX')}"

pytestmark = pytest.mark.wheel


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive."""
    folder = tmp_path_factory.mktemp("sdist")
    code = f"import sys; sys.path.insert(0, 'scripts'); import build_backend as b; b.build_sdist({str(folder)!r})"
    run(sys.executable, "-c", code)
    (found,) = folder.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheel(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip makes from the source archive: what is not in the archive cannot get into it."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, archive)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def engine(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared object in the wheel."""
    with zipfile.ZipFile(wheel) as opened:
        return Path(opened.extract(ENGINE, tmp_path_factory.mktemp("engine")))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = [name for name in opened.namelist() if name.endswith(".dist-info/METADATA")]
        return email.parser.Parser().parsestr(opened.read(name).decode())


def test_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
    sources = {
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.py", "*.pyi", "py.typed")
        for path in (ROOT / "turboapi").rglob(pattern)
    }
    assert names == sources | {ENGINE}
    assert "turboapi/py.typed" in names


def test_carries_the_licence(wheel: Path, metadata: email.message.Message) -> None:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = [name for name in opened.namelist() if name.endswith("/licenses/LICENSE")]
        assert opened.read(name) == (ROOT / "LICENSE").read_bytes()
    assert metadata["License-Expression"] == "MIT"


def test_asks_for_no_upper_bound(metadata: email.message.Message) -> None:
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(re.split(r"[>;]", line)[0] for line in needed) == ["fastapi", "uvloop"]
    assert not [line for line in needed if "<" in line or "~=" in line or "==" in line.split(";")[0]]
    assert metadata["Requires-Python"] == ">=3.11"


def test_links_no_libpython_and_names_no_search_path(engine: Path) -> None:
    dynamic = run("readelf", "-d", engine)
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic)
    assert "libc.so.6" in needed, dynamic
    assert not [library for library in needed if "python" in library]
    assert "RUNPATH" not in dynamic
    assert "RPATH" not in dynamic


def test_tells_nothing_of_where_it_was_built(engine: Path) -> None:
    content = engine.read_bytes()
    go = {name: value for name in ("GOPATH", "GOCACHE") if (value := os.environ.get(name))}
    places = {
        str(ROOT),
        str(Path.home()) + "/",
        sys.base_prefix,
        os.path.realpath("/tmp") + "/",
        "/go/pkg/mod",
        *go.values(),
    }
    assert not [place for place in places if place.encode() in content]


def test_has_both_init_functions(engine: Path) -> None:
    symbols = run("readelf", "--dyn-syms", "-W", engine)
    assert re.search(r"GLOBAL\s+DEFAULT\s+\d+ PyInit__engine$", symbols, re.MULTILINE)
    assert re.search(r"GLOBAL\s+DEFAULT\s+\d+ PyInit__hot$", symbols, re.MULTILINE)


def test_installs_and_imports_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "--disable-pip-version-check", "install", "-q", wheel)
    code = """if True:
        import sys
        import turboapi
        from turboapi.engine import _load
        assert "turboapi._engine" not in sys.modules, "the engine loads lazily"
        _load.hot()
        import turboapi._engine, turboapi._hot
        assert turboapi._engine.__file__ == turboapi._hot.__file__
        with open("/proc/self/maps") as maps:
            loaded = {line.split()[-1] for line in maps if "_engine" in line}
        assert loaded == {turboapi._engine.__file__}, loaded
        print(turboapi.__version__, turboapi.__file__)
    """
    version, file = run(python, "-W", "error", "-c", code, cwd=tmp_path).split()
    assert version == wheel.name.split("-")[1]
    assert Path(file).is_relative_to(tmp_path)
    assert (tmp_path / "venv" / "bin" / "turboapi").exists()
