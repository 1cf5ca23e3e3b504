"""Fuzzes the parsers: `make fuzz`. Each package gets the time, its fuzz tests an equal share of it.

    .venv/bin/python scripts/fuzz.py 60s

A new input that fails is written below the package's testdata/fuzz/: commit it with the fix.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from toolchain import ROOT, Missing, find_go

PACKAGES = ("./gosrc/wire", "./gosrc/extract", "./gosrc/router", "./gosrc/form")
# The other half of the processors is for what `make test` runs meanwhile.
WORKERS = max((os.cpu_count() or 1) // 2, 1)
UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> int:
    """Return how many seconds "90s", "5m" or "1h" are."""
    found = re.fullmatch(r"(\d+)([smh])", text)
    if found is None:
        raise Missing(f"A time such as 60s, 5m or 1h is missing: FUZZTIME is {text!r}.")
    return int(found[1]) * UNITS[found[2]]


def targets(go: str, env: dict[str, str]) -> dict[str, list[str]]:
    """Return the fuzz tests of each package."""
    found = {}
    for package in PACKAGES:
        if not os.path.isdir(ROOT / package):
            continue
        listed = subprocess.run(
            [go, "test", "-list", "^Fuzz", package], cwd=ROOT, env=env, capture_output=True, text=True
        )
        if listed.returncode != 0:
            raise Missing(f"{package} does not build: {(listed.stdout + listed.stderr).strip()}")
        found[package] = [line for line in listed.stdout.split() if line.startswith("Fuzz")]
    return {package: names for package, names in found.items() if names}


def passed(command: list[str], env: dict[str, str]) -> bool:
    """Run one fuzz test, showing what it prints; return whether it found nothing."""
    verdict = ""
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            if verdict or line.lstrip().startswith("--- FAIL"):
                verdict += line
            else:
                print(line, end="", flush=True)
    # On a busy machine Go reports the end of its own fuzzing time as a failure, without an input that fails.
    if "context deadline exceeded" in verdict and "Failing input" not in verdict:
        print("fuzz: the time was over in the middle of an input; nothing was found", flush=True)
        return True
    print(verdict, end="", flush=True)
    return process.returncode == 0


def main() -> int:
    """Fuzz for the time in the first argument; return 1 if something was found."""
    try:
        go = find_go()
        whole = seconds(sys.argv[1] if len(sys.argv) > 1 else "60s")
        env = os.environ | {"GOTOOLCHAIN": "local"}
        found = targets(go, env)
    except Missing as missing:
        print(f"fuzz: {missing}", file=sys.stderr)
        return 1
    if not found:
        print("fuzz: no package has a fuzz test", file=sys.stderr)
        return 1
    failed = 0
    for package, name in [(package, name) for package, names in found.items() for name in names]:
        share = max(whole // len(found[package]), 1)
        print(f"fuzz: {package} {name} for {share} s", flush=True)
        # Left to itself, Go spends up to a minute on making one input smaller.
        limits = [f"-fuzztime={share}s", "-fuzzminimizetime=1s", f"-parallel={WORKERS}"]
        command = [go, "test", "-run=^$", f"-fuzz=^{name}$", *limits, package]
        failed += not passed(command, env)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
