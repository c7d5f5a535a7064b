"""The processes that a plugin server descends from: a worker of Kong's nginx, and its master."""

from __future__ import annotations

import re
from pathlib import Path

PROC = Path("/proc")
_GENERATIONS = 4


def nginx_master(pid: int, proc: Path = PROC) -> int | None:
    """The nginx master that `pid` descends from, or is; None for any other process."""
    for _ in range(_GENERATIONS):
        if title_of(pid, proc).startswith("nginx: master process"):
            return pid
        parent = re.search(r"^PPid:\s+(\d+)", _read(proc / str(pid) / "status"), re.MULTILINE)
        if parent is None or parent[1] == "0":
            return None
        pid = int(parent[1])
    return None


def title_of(pid: int, proc: Path = PROC) -> str:
    """The command line of a process, or what it has put there; "" when it is gone."""
    return _read(proc / str(pid) / "cmdline").replace("\0", " ")


def is_running(master: int, proc: Path = PROC) -> bool:
    """Whether an nginx master that was found once is there still."""
    return title_of(master, proc).startswith("nginx: master process")


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
