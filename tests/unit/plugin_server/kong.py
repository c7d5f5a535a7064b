"""An nginx master with workers that start plugin servers, as far as a plugin server can tell them from Kong's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[3]

# For every line that the master reads it starts a worker, which starts the plugin server and tells its process id; for
# the line "retire" the oldest worker ends instead, as at a reload.
WORKER = """
import subprocess, sys
log = open(sys.argv[1], "ab")
server = subprocess.Popen(sys.argv[2:], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
print(server.pid, flush=True)
sys.stdin.read()
"""
MASTER = f"""
import subprocess, sys
workers = []
for line in sys.stdin:
    if line == "retire\\n":
        worker = workers.pop(0)
        worker.kill()
        worker.wait()
        print(flush=True)
    else:
        command = [sys.argv[1], "-c", {WORKER!r}, *sys.argv[2:]]
        workers.append(subprocess.Popen(command, stdin=subprocess.PIPE))
"""


class Kong:
    """An nginx master and its workers, as far as a plugin server can tell."""

    def __init__(self, prefix: Path, command: tuple[str, ...], in_background: bool) -> None:
        """in_background: the master leads a session, as a daemon does; it does not in a container."""
        title = f"nginx: master process /usr/sbin/nginx -p {prefix} -c nginx.conf"
        self._log = prefix / f"log-of-kong-{len(list(prefix.glob('log-of-kong-*')))}"
        self._log.touch()
        self.process = subprocess.Popen(
            [
                *("bash", "-c", 'title=$1; shift; exec -a "$title" "$@"', "bash", title),
                *(sys.executable, "-c", MASTER, sys.executable, str(self._log), *command),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={"PWD": str(prefix), "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
            start_new_session=in_background,
        )
        self.prefix = prefix

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start_worker(self) -> psutil.Process:
        """The plugin server of a new worker, as soon as it is started."""
        return psutil.Process(int(self._say("start")))

    def retire_worker(self) -> None:
        """The oldest worker ends."""
        self._say("retire")

    def reload(self) -> psutil.Process:
        """A new worker; the old one is gone before the new plugin server is there."""
        self.retire_worker()
        return self.start_worker()

    def _say(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()
        return self.process.stdout.readline().decode()

    def end(self) -> None:
        """Kong is stopped. May be called again."""
        # Its workers read from a pipe of the master's.
        self.process.kill()
        self.process.wait(30)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
