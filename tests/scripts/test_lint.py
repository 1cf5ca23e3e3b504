"""The check that the change log and the package speak of the same version."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import lint

    (tmp_path / "turboapi").mkdir()
    (tmp_path / "turboapi" / "_version.py").write_text('__version__ = "1.2.0"\n')
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    return tmp_path


def test_the_newest_version_of_the_change_log_is_the_packages(tree: Path) -> None:
    import lint

    (tree / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0 - unreleased\n\n## 1.1.0\n")
    assert lint.changelog() is None


@pytest.mark.parametrize("text", ["# Changelog\n\n## 1.3.0\n\n## 1.2.0\n", "# Changelog\n\n## 1.1.0\n", "nothing\n"])
def test_another_version_is_found(tree: Path, text: str) -> None:
    import lint

    (tree / "CHANGELOG.md").write_text(text)
    assert "1.2.0" in (lint.changelog() or "")
