"""What gevent replaces in the standard library before anything else is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

# What is replaced, by module, and who was asked.
SHOW = """
import json
from gevent.monkey import saved
import greedy
print(json.dumps([{module: sorted(names) for module, names in saved.items()}, greedy.asked]))
"""
GEVENTS = "from gevent.monkey import patch_all; patch_all()"
OURS = "from kong_plugin_server.patching import patch_standard_library; patch_standard_library()"


def patched(by: str, directory: Path) -> tuple[dict[str, list[str]], int]:
    environment = {**os.environ, "PYTHONPATH": str(directory)}
    shown = subprocess.run(
        [sys.executable, "-c", by + SHOW], env=environment, capture_output=True, text=True, check=True
    )
    replaced, asked = json.loads(shown.stdout)
    return replaced, asked


def test_everything_is_patched_and_no_installed_package_is_asked(tmp_path: Path) -> None:
    (tmp_path / "greedy.py").write_text("asked = 0\ndef ask(event):\n    global asked\n    asked += 1\n")
    package = tmp_path / "greedy-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: greedy\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[gevent.plugins.monkey.will_patch_all]\ngreedy = greedy:ask\n")
    by_gevent, asked_by_gevent = patched(GEVENTS, tmp_path)
    by_us, asked_by_us = patched(OURS, tmp_path)
    assert by_us == by_gevent
    assert (asked_by_gevent, asked_by_us) == (1, 0)
