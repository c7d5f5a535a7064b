"""The link to the repository, and the files that mkdocs.yml names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from scripts import site_hook

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/acme/gateway.git", "https://github.com/acme/gateway"),
        ("https://user:token@github.com/acme/gateway", "https://github.com/acme/gateway"),
        ("git@github.com:acme/gateway.git", "https://github.com/acme/gateway"),
        ("ssh://git@gitlab.com/acme/sms/gateway.git", "https://gitlab.com/acme/sms/gateway"),
        ("", None),
        ("/srv/git/gateway", None),
        ("file:///srv/git/gateway", None),
        ("http://10.0.0.7/gateway.git", None),
        ("https://git/gateway", None),
        ("https://git.acme.internal/gateway", None),
    ],
)
def test_the_repository_is_linked_where_the_public_can_reach_it(remote: str, address: str | None) -> None:
    assert site_hook.public_address(remote) == address


def test_what_the_site_is_built_with_is_part_of_the_repository() -> None:
    """A file that .gitignore hides works for whoever wrote it, and for nobody who clones."""
    named = re.findall(r"scripts/[\w/.]+", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert named
    done = subprocess.run(
        ["git", "check-ignore", *named], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode in (1, 128), (
        f"ignored: {done.stdout}"
    )  # 1: none of them; 128: not a checkout of git
    assert [name for name in named if not (ROOT / name).exists()] == []
