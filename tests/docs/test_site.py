"""The site builds without a warning and loads nothing from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("material", reason="the site is built by `make docs`, which installs what it needs")


def test_the_site_builds_strictly_and_stands_by_itself(tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", site],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (site / "index.html").exists()
    check = [sys.executable, ROOT / "scripts/check_site.py", site]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_something_from_elsewhere_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<link rel="stylesheet" href="//fonts.example/a.css"><a href="https://x">'
    )
    (tmp_path / "a.css").write_text("@font-face { src: url(https://fonts.example/a.woff2) }")
    check = [sys.executable, ROOT / "scripts/check_site.py", tmp_path]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "index.html: //fonts.example/a.css" in done.stderr
    assert "a.css: url(https://fonts.example/a.woff2" in done.stderr
