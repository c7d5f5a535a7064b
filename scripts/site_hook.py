"""What the documentation's site (mkdocs.yml) shows of this checkout: its version, and where its repository is.

The repository is `REPO_URL` if that is set, else the remote `origin` if that is a public host's. A site that was built
from a copy on a disk or a mirror in a private network has no link.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
_VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
# `git@HOST:OWNER/NAME.git`, or an address with a user or a token in it.
_SSH = re.compile(r"(?:ssh://)?git@([^:/]+)[:/](.+)")
_PRIVATE = (".local", ".internal", ".lan", ".home", ".corp", ".test", ".example", ".invalid", ".localhost")


def on_config(config: Any) -> Any:
    version = _VERSION.search((ROOT / "plugins/yeastar_adapter/__init__.py").read_text(encoding="utf-8"))
    if version is None:
        sys.exit("no __version__ in plugins/yeastar_adapter/__init__.py")
    config.site_name = f"{config.site_name} {version[1]}"
    config.copyright = f"Version {version[1]} · Apache License 2.0"
    config.repo_url = os.environ.get("REPO_URL") or public_address(_origin())
    config.repo_name = urlsplit(config.repo_url).path.strip("/") if config.repo_url else None
    return config


def _origin() -> str:
    """The address of the remote `origin`; "" without git, or without such a remote."""
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run(  # noqa: S603 - fixed arguments
        [git, "remote", "get-url", "origin"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def public_address(remote: str) -> str | None:
    """The https address of a remote of git; None for a path, and for a host that only this network knows.

    `git@github.com:owner/name.git` → `https://github.com/owner/name`. Nothing of a user or token is kept.
    """
    ssh = _SSH.fullmatch(remote)
    parts = urlsplit(f"https://{ssh[1]}/{ssh[2]}" if ssh else remote)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or "." not in host or host.endswith(_PRIVATE):
        return None
    try:
        ip_address(host)
    except ValueError:
        return f"https://{host}{parts.path.removesuffix('.git')}"
    return None
