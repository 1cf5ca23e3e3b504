"""Builds the engine, turboapi/_engine.*.so, when Go or C files changed, and only then.

    python scripts/engine_build.py [--strict] [--force] [--output FILE] [--sanitize address]

One shared object holds two Python modules: `_engine`, which gopy generates from
gosrc/engine, and `_hot`, the C in gosrc/hot. Everything generated lies in
build/gen-<abi>/, inside the Go module and outside of version control.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from toolchain import ROOT, Missing, c_compiler, find_go, python_include, require_python

__all__ = ["build", "default_output", "environment"]

# Set by the build backend when the engine is built after the installation, not during it.
postponed = False

# The generated main package pulls in the C module, so that both live in one .so:
# two would be two Go runtimes in one process.
HOT_IMPORT = 'package main\n\nimport _ "turboapi/gosrc/hot"\n'
# gopy's C typedefs `bool`, which is a keyword from C23 on, the default of new compilers.
GEN_CFLAGS = "#cgo CFLAGS: -std=gnu17 -Wno-error -w"
# Python's symbols are the interpreter's; a wheel must neither link libpython nor say where it was.
GEN_LDFLAGS = "#cgo LDFLAGS: -Wl,--unresolved-symbols=ignore-all"


def default_output() -> Path:
    """Return where an in-tree build puts the shared object of this Python."""
    return ROOT / "turboapi" / f"_engine{sysconfig.get_config_var('EXT_SUFFIX')}"


def _abi() -> str:
    return str(sysconfig.get_config_var("SOABI"))


def _sources() -> Iterator[Path]:
    for path in sorted((ROOT / "gosrc").rglob("*")):
        if path.suffix in {".go", ".c", ".h"} and not path.name.endswith("_test.go"):
            yield path
    yield from (ROOT / "go.mod", ROOT / "go.sum", Path(__file__), ROOT / "scripts" / "toolchain.py")


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()


def _source_digest(include: str, sanitize: str) -> str:
    around = (
        sys.version,
        include,
        sanitize,
        *(os.environ.get(name, "") for name in ("CC", "CGO_CFLAGS", "CGO_LDFLAGS")),
    )
    parts = [repr(around).encode()]
    for path in _sources():
        parts += [str(path.relative_to(ROOT)).encode(), path.read_bytes()]
    return _digest(*parts)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Hold the build of one kind: two at once would write the same generated files."""
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str], env: dict[str, str], cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        raise Missing(f"The engine does not build: `{shlex.join(command[:4])} ...` failed with the messages above.")
    return done.stdout


def environment(go: str, include: str, sanitize: str) -> dict[str, str]:
    """Return the environment in which `go` compiles our C: flags, Python's headers, no toolchain but this one."""
    env = dict(os.environ)
    # NDEBUG: without it Python's inline functions check every cast they make.
    # isystem: warnings inside Python's headers are not ours.
    flags = ["-O2", "-DNDEBUG", "-isystem", include]
    # Go's cache does not see headers of another folder that our C includes.
    shared = [path.read_bytes() for path in _sources() if path.suffix == ".h" and path.parent.name != "hot"]
    flags.append(f"-DTURBO_HEADERS=0x{_digest(*shared)[:8]}")
    if sanitize:
        flags += [f"-fsanitize={sanitize}", "-fno-omit-frame-pointer", "-UNDEBUG", "-g"]
        env["CGO_LDFLAGS"] = f"{env.get('CGO_LDFLAGS', '')} -fsanitize={sanitize}".strip()
    if extra := env.get("CGO_CFLAGS"):
        flags.append(extra)
    env["CGO_CFLAGS"] = " ".join(f'"{flag}"' if " " in flag and flag != extra else flag for flag in flags)
    env["CGO_ENABLED"] = "1"
    env["GOTOOLCHAIN"] = "local"
    env["GOWORK"] = "off"
    # goimports and gopy call `go` by name.
    env["PATH"] = os.path.dirname(go) + os.pathsep + env.get("PATH", "")
    return env


def _generate(go: str, gen: Path, include: str, env: dict[str, str]) -> None:
    """Write the gopy half into gen, if the exported API of gosrc/engine is not the one it was made from."""
    api = _run([go, "doc", "-all", "./gosrc/engine"], env)
    made_from = _digest(api.encode(), (ROOT / "go.mod").read_bytes(), Path(__file__).read_bytes(), include.encode())
    mark = gen / "made-from"
    if mark.exists() and mark.read_text() == made_from:
        return
    print("turboapi: generating the bindings of gosrc/engine", flush=True)
    shutil.rmtree(gen, ignore_errors=True)
    gen.mkdir(parents=True)
    relative = os.path.relpath(gen, ROOT)
    gopy = [go, "tool", "gopy", "gen", f"-output={relative}", "-name=engine", f"-vm={sys.executable}"]
    _run([*gopy, "-no-make", "-no-warn", "-dynamic-link=true", "./gosrc/engine"], env)
    source = gen / "engine.go"
    text = source.read_text()
    for kind, line in (("CFLAGS", GEN_CFLAGS), ("LDFLAGS", GEN_LDFLAGS)):
        text, count = re.subn(rf"^#cgo {kind}:.*$", line, text, flags=re.MULTILINE)
        if count != 1:
            raise Missing(f"The engine does not build: gopy wrote {count} #cgo {kind} lines where 1 was expected.")
    source.write_text(text)
    _run([go, "tool", "goimports", "-w", f"{relative}/engine.go"], env)
    with tempfile.TemporaryDirectory() as scratch:
        cgo = [go, "tool", "cgo", "-objdir", scratch, "-exportheader", "engine_go.h"]
        _run([*cgo, "--", f"-I{include}", "engine.go"], env, gen)
    _run([sys.executable, "build.py"], env, gen)
    (gen / "hot.go").write_text(HOT_IMPORT)
    # gopy's Python wrappers change the working directory when imported: they stay out of the package.
    for wrapper in gen.glob("*.py"):
        wrapper.unlink()
    mark.write_text(made_from)


def build(output: Path | None = None, *, strict: bool = False, force: bool = False, sanitize: str = "") -> bool:
    """Bring the shared object of this Python up to date; return whether it had to be built.

    output: the file to write, the package's own by default.
    strict: a warning of the C compiler in gosrc/ is an error.
    force: build even when nothing changed.
    sanitize: "" or "address": build with this sanitizer, C assertions on.
    Raises Missing, with one sentence, when a tool is missing or the sources do not compile.
    """
    require_python()
    include = python_include()
    output = output or default_output()
    kind = f"{_abi()}-{sanitize}" if sanitize else _abi()
    with _alone(kind):
        digest = _source_digest(include, sanitize)
        stamp = ROOT / "build" / f"stamp-{kind}-{_digest(str(output.resolve()).encode())[:8]}.json"
        if not force and stamp.exists() and output.exists():
            last = json.loads(stamp.read_text())
            if last == {"sources": digest, "output": _digest(output.read_bytes())}:
                return False
        c_compiler()
        go = find_go()
        env = environment(go, include, sanitize)
        gen = ROOT / "build" / f"gen-{kind}"
        _generate(go, gen, include, env)
        print(f"turboapi: building {output.name}", flush=True)
        output.parent.mkdir(parents=True, exist_ok=True)
        # Built beside it and moved over it: a process that runs the old one keeps it.
        fresh = output.with_name(f".{output.name}.new")
        ldflags = "-buildid=" if sanitize else "-s -w -buildid="
        command = [go, "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-mod=readonly"]
        command += ["-tags=strict"] if strict else []
        command += ["-asan"] if sanitize == "address" else []
        command += [f"-ldflags={ldflags}", "-o", str(fresh), f"./{os.path.relpath(gen, ROOT)}"]
        try:
            _run(command, env)
            os.replace(fresh, output)
        finally:
            fresh.unlink(missing_ok=True)
            fresh.with_suffix(".h").unlink(missing_ok=True)
        stamp.write_text(json.dumps({"sources": digest, "output": _digest(output.read_bytes())}))
    return True


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Build the engine's shared object when its sources changed.")
    parser.add_argument("--output", type=Path, help="the file to write (default: beside the Python package)")
    parser.add_argument("--strict", action="store_true", help="warnings of the C compiler are errors")
    parser.add_argument("--force", action="store_true", help="build even when nothing changed")
    parser.add_argument("--sanitize", default="", choices=["", "address"], help="build with this sanitizer")
    given = parser.parse_args()
    try:
        if not build(given.output, strict=given.strict, force=given.force, sanitize=given.sanitize):
            print("turboapi: the engine is up to date", flush=True)
    except Missing as missing:
        print(f"turboapi: {missing}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
