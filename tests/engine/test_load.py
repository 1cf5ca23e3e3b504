"""Loading the engine: late, once, one file for both modules, and not in a forked child."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python(code: str, *, path: Path = ROOT, **env: str) -> str:
    """Run code in a fresh interpreter that finds the package in path; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=os.environ | {"PYTHONPATH": str(path)} | env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_modules_come_from_one_file() -> None:
    from turboapi.engine import _load

    assert _load.engine().__file__ == _load.hot().__file__
    assert sys.modules["turboapi._hot"] is _load.hot()
    import turboapi._hot

    assert turboapi._hot is _load.hot()
    assert _load.engine() is _load.engine()


def test_importing_the_loader_loads_nothing() -> None:
    code = """if True:
        import sys
        from turboapi.engine import _load
        print(_load.loaded(), "turboapi._engine" in sys.modules)
        _load.engine()
        print(_load.loaded(), "turboapi._engine" in sys.modules)
    """
    assert python(code).splitlines() == ["False False", "True True"]


def test_two_threads_load_one_engine() -> None:
    code = """if True:
        import threading
        from turboapi.engine import _load
        barrier, got = threading.Barrier(8), []
        def load():
            barrier.wait()
            got.append(_load.hot())
        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(got), len(set(map(id, got))))
    """
    assert python(code) == "8 1\n"


def test_a_forked_child_gets_an_exception() -> None:
    code = """if True:
        import os, warnings
        from turboapi.engine import _load
        _load.engine()
        warnings.simplefilter("ignore")  # a fork with threads is what this is about
        child = os.fork()
        if child == 0:
            try:
                _load.hot()
            except _load.EngineForked as error:
                print("child:", "do not survive a fork" in str(error), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print("parent:", _load.hot().__name__)
    """
    assert python(code).splitlines() == ["child: True", "parent: turboapi._hot"]


def test_a_child_forked_before_loading_has_an_engine_of_its_own() -> None:
    code = """if True:
        import os
        from turboapi.engine import _load
        child = os.fork()
        _load.hot()
        if child == 0:
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert python(code) == "7\n"


def test_a_missing_engine_is_named(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "turboapi", tmp_path / "turboapi", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    code = """if True:
        import sys
        # An editable install would find the engine of the source tree all the same.
        sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
        from turboapi.engine import _load
        try:
            _load.engine()
        except _load.EngineMissing as error:
            print(isinstance(error, ImportError), error)
    """
    said = python(code, path=tmp_path)
    assert said.startswith("True there is no turboapi/_engine")
    assert "the engine was not built for this Python" in said
