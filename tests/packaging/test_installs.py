"""Installed as docs/operations.md says, with each Python that is named. Left out of `make test`: it needs a network.

PYTHONS="python3.10 python3.13" python -m pytest -m soak tests/packaging/test_installs.py
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = os.environ.get("PYTHONS", "").split()

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not PYTHONS, reason="PYTHONS names no interpreter"),
]


@pytest.mark.parametrize("python", PYTHONS)
def test_it_installs_from_the_lock_file_and_describes_itself(python: str, tmp_path: Path) -> None:
    manual = (ROOT / "docs/operations.md").read_text()
    [steps] = re.findall(r"```sh\n( *python3 -m venv /opt/yeastar-adapter\n.*?)```", manual, re.DOTALL)
    where = tmp_path / "yeastar-adapter"
    for step in steps.splitlines():
        command = (
            step.replace("/opt/yeastar-adapter", str(where)).replace("python3 ", f"{python} ", 1).split()
        )
        if command:
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    link = tmp_path / "bin/yeastar-adapter"
    link.parent.mkdir()
    link.symlink_to(where / "bin/yeastar-adapter")
    said = subprocess.run(
        [shutil.which("env") or "/usr/bin/env", "-i", link, "-dump"],
        check=True,
        capture_output=True,
        text=True,
    )
    [plugin] = json.loads(said.stdout)
    assert plugin["Name"] == "yeastar-adapter"
    assert said.stderr == ""
