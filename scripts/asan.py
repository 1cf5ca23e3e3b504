"""Runs the Python tests on an engine with the address sanitizer: `make asan`.

    .venv/bin/python scripts/asan.py [tests/engine ...]

The package is laid out a second time in build/asan, as links to its files and
with the other shared object: the one in the tree stays as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import engine_build
from toolchain import ROOT, Missing, c_compiler

LAYOUT = ROOT / "build" / "asan"


def lay_out() -> Path:
    """Link the package's files into build/asan; return where its shared object goes."""
    package = LAYOUT / "turboapi"
    package.mkdir(parents=True, exist_ok=True)
    for old in package.iterdir():
        if old.is_symlink():
            old.unlink()
    for path in (ROOT / "turboapi").iterdir():
        if path.suffix != ".so" and path.name != "__pycache__":
            (package / path.name).symlink_to(os.path.relpath(path, package))
    return package / f"_engine{sysconfig.get_config_var('EXT_SUFFIX')}"


def runtime() -> str:
    """Return the sanitizer's library, which must be in the process before Python is."""
    compiler = shutil.which(c_compiler()) or c_compiler()
    found = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    library = found.stdout.strip()
    if not os.path.isabs(library):
        raise Missing("The address sanitizer's library is missing: the C compiler has no libasan.so.")
    return library


def main() -> int:
    """Build, run pytest with the arguments given; return its exit code."""
    try:
        library = runtime()
        engine_build.build(lay_out(), strict=True, sanitize="address")
    except Missing as missing:
        print(f"asan: {missing}", file=sys.stderr)
        return 1
    env = os.environ | {
        "LD_PRELOAD": library,
        # Leaks: the interpreter has its own. Signals: Go and faulthandler handle them.
        "ASAN_OPTIONS": "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigfpe=0",
        # Python's own allocator would hide an object's end from the sanitizer.
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(LAYOUT),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not wheel", "-o", f"pythonpath={LAYOUT} {ROOT}"]
    return subprocess.run([*command, *sys.argv[1:]], cwd=ROOT, env=env).returncode


if __name__ == "__main__":
    raise SystemExit(main())
