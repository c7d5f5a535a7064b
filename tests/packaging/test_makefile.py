"""`make up` with a Compose that only notes what it is asked."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUMMARY = "! /etc/kong/configuration/kong.yml: 0 errors, 2 warnings, 1 hint"

COMPOSE = """#!/bin/sh
echo "$*" >> calls
case "$1" in run) printf '%s' {said}; exit {status} ;; esac
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("secrets", "observability"):
        (tmp_path / name).mkdir()
    (tmp_path / "kong.yml").touch()
    return tmp_path


def up(directory: Path, said: str, status: int) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """`make up` where the check says so. Its result, and what Compose was asked, by first words."""
    compose = directory / "compose"
    compose.write_text(COMPOSE.format(said=shlex.quote(said), status=status))
    compose.chmod(0o755)
    call = ["make", "-C", directory, "-f", ROOT / "Makefile", "up", "COMPOSE=./compose", "PYTHON=python3"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300)
    return done, [line.split()[0] for line in (directory / "calls").read_text().splitlines()]


def test_a_file_that_passes_is_served(directory: Path) -> None:
    done, calls = up(directory, f"! a warning\n{SUMMARY}\n", 0)
    assert done.returncode == 0, done.stderr
    assert calls == ["config", "build", "run", "up"]
    assert SUMMARY in done.stdout


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (f"{SUMMARY}\n", 1),
        ("✗ /etc/kong/configuration/kong.yml: 1 error, 2 warnings, 1 hint\n", 1),
        # Podman 4: the container ended with 1, Compose with 0.
        ("✗ /etc/kong/configuration/kong.yml: 1 error, 2 warnings, 1 hint\n", 0),
        ("✗ /etc/kong/configuration/kong.yml: 10 errors, 0 warnings, 0 hints\n", 0),
        ("", 0),
    ],
)
def test_nothing_that_runs_is_replaced_by_a_file_that_does_not_pass(
    directory: Path, said: str, status: int
) -> None:
    done, calls = up(directory, said, status)
    assert done.returncode
    assert calls == ["config", "build", "run"]
    assert said in done.stdout
    assert "what runs goes on: kong.yml has not passed the check" in done.stderr
