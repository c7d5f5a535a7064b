"""The processes that a plugin server descends from: a worker of Kong's nginx, and nginx's master."""

from __future__ import annotations

import os
import re
from pathlib import Path

PROC = Path("/proc")

_GENERATIONS = 4
"""Master, worker, and room for a wrapper or two around the command."""


def nginx_master(pid: int, proc: Path = PROC) -> int | None:
    """The nginx master that `pid` descends from, or is; None for any other process.

    After `kong reload` the worker that started a plugin server is gone, and the server a child of init. It is still
    in the session of the master, which an nginx in the background leads.
    """
    ancestor: int | None = pid
    for _ in range(_GENERATIONS):
        if not ancestor:
            break
        if is_nginx_master(ancestor, proc):
            return ancestor
        ancestor = parent_of(ancestor, proc)
    leader = _status_field(pid, 3, proc)
    return leader if leader and is_nginx_master(leader, proc) else None


def nginx_worker(pid: int, master: int | None, proc: Path = PROC) -> int | None:
    """The worker of that nginx master that `pid` descends from, or is; None for any other process."""
    ancestor: int | None = pid
    for _ in range(_GENERATIONS):
        if not ancestor or master is None:
            break
        parent = parent_of(ancestor, proc)
        if parent == master:
            return ancestor
        ancestor = parent
    return None


def nginx_workers(master: int, proc: Path = PROC) -> set[int]:
    """Those that nginx master has, also while they end."""
    return {
        pid
        for pid in (int(path.name) for path in proc.iterdir() if path.name.isdigit())
        if title_of(pid, proc).startswith("nginx: worker process") and parent_of(pid, proc) == master
    }


def is_shutting_down(worker: int, proc: Path = PROC) -> bool:
    """Whether an nginx worker takes no more connections, and ends when its requests have."""
    return title_of(worker, proc).startswith("nginx: worker process is shutting down")


def gateway_of(pid: int, proc: Path = PROC) -> int | None:
    """The process that a plugin server belongs to: the nginx master, else whatever has started it.

    None where that cannot be seen: the process is gone, in another PID namespace, or was adopted by init.
    """
    master = nginx_master(pid, proc)
    if master is not None:
        return master
    parent = parent_of(pid, proc)
    return parent if parent is not None and parent > 1 else None


def is_nginx_master(pid: int, proc: Path = PROC) -> bool:
    return title_of(pid, proc).startswith("nginx: master process")


def parent_of(pid: int, proc: Path = PROC) -> int | None:
    return _status_field(pid, 1, proc)


def title_of(pid: int, proc: Path = PROC) -> str:
    """The command line of a process, or what it has put there; "" when it is gone."""
    return _read(proc / str(pid) / "cmdline").replace("\0", " ")


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def prefix_of_nginx(master: int, proc: Path = PROC) -> Path | None:
    """The prefix that Kong has started this nginx with, which stands in the master's title as its option `-p`.

    The working directory does not tell it: that is where Kong was started, `/` in a container.
    """
    option = re.search(r" -p (/.*?)(?: -[a-zA-Z] |\s*$)", title_of(master, proc))
    return Path(option[1]) if option else None


def _status_field(pid: int, index: int, proc: Path) -> int | None:
    """A number of `/proc/PID/stat` after the command's name: 1 is the parent, 3 the session."""
    fields = _read(proc / str(pid) / "stat").rpartition(")")[2].split()
    return int(fields[index]) if len(fields) > index else None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
