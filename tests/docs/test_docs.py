"""The documentation holds: links lead somewhere, code compiles, and examples marked to run do run.

A fence that begins with ```python run is a test: it runs in a fresh interpreter
and must end without an error. Where the next fence is ```output, it must be
what was printed.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {"build", "dist", ".git", "node_modules"}


@dataclass(frozen=True, slots=True)
class Fence:
    """One block of code: its page, the line after its opening, what its opening says, its text."""

    page: Path
    line: int
    info: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Return every Markdown file of the repository."""
    found = []
    for path in sorted(ROOT.rglob("*.md")):
        parts = path.relative_to(ROOT).parts
        if not any(part in SKIPPED or part.startswith(".") for part in parts):
            found.append(path)
    return found


def fences(page: Path) -> list[Fence]:
    """Return the blocks of code of a page."""
    found = []
    opened: tuple[int, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        mark = re.match(r"```\s*(.*)", line)
        if mark and opened is None:
            opened, lines = (number + 1, mark[1].strip()), []
        elif mark and opened is not None:
            found.append(Fence(page, *opened, "\n".join(lines) + "\n"))
            opened = None
        else:
            lines.append(line)
    assert opened is None, f"{page}:{opened and opened[0]}: a block of code is not closed"
    return found


def anchors(page: Path) -> set[str]:
    """Return the names by which the headings of a page can be linked to."""
    headings = re.findall(r"^#+\s+(.+?)\s*#*$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


PAGES = pages()
FENCES = [fence for page in PAGES for fence in fences(page)]
PYTHON = [fence for fence in FENCES if fence.info.split(" ")[0] in {"python", "py"}]
RUN = [(fence, after) for fence, after in itertools.zip_longest(FENCES, FENCES[1:]) if fence.info == "python run"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("fence", PYTHON, ids=lambda fence: fence.name)
def test_code_compiles(fence: Fence) -> None:
    compile("\n" * (fence.line - 1) + fence.text, str(fence.page), "exec")


@pytest.mark.parametrize(("fence", "after"), RUN, ids=lambda fence: fence.name if isinstance(fence, Fence) else "")
def test_example_runs(fence: Fence, after: Fence | None, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(fence.text)
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    if after is not None and after.page == fence.page and after.info == "output":
        assert done.stdout == after.text
