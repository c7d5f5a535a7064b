"""An nginx master with workers that start plugin servers, as far as a plugin server can tell them from Kong's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[3]

# For every line that the master reads it starts a worker, which starts the plugin server and tells its process id; for
# the line "retire" the oldest worker is killed instead, and for "quit" it is told to end, as at a reload.
#
# A worker that is to end reads what its plugin server writes, as Kong's does: until it has waited for ten seconds, or
# the pipe is closed. Then it kills the server. It says why in the log.
ENDING = """
import os, select, signal, sys
with open(sys.argv[1], "a", buffering=1) as log:
    print("the worker is shutting down", file=log)
    while select.select([int(sys.argv[2])], [], [], 10)[0]:
        if not os.read(int(sys.argv[2]), 65536):
            print("the worker ends: its server's output is closed", file=log)
            break
        print("the worker waits", file=log)
    else:
        print("the worker ends: its server was silent", file=log)
    os.kill(int(sys.argv[3]), signal.SIGKILL)
"""
WORKER = f"""
import os, subprocess, sys
log, *command = sys.argv[1:]
reading, writing = os.pipe()
with open(log, "ab") as errors:
    # As nginx does, it leaves the pipe open to the server under a further number.
    server = subprocess.Popen(
        command, stdout=writing, stderr=errors, stdin=subprocess.DEVNULL, pass_fds=[writing]
    )
os.close(writing)
os.set_inheritable(reading, True)
print(server.pid, flush=True)
if sys.stdin.readline():
    title = "nginx: worker process is shutting down"
    os.execv(os.readlink("/proc/self/exe"), [title, "-c", {ENDING!r}, log, str(reading), str(server.pid)])
"""
MASTER = f"""
import subprocess, sys
workers, ending = [], []
for line in sys.stdin:
    if line == "retire\\n":
        worker = workers.pop(0)
        worker.kill()
        worker.wait()
        print(flush=True)
    elif line == "quit\\n":
        ending.append(workers.pop(0))
        ending[-1].stdin.write(b"\\n")
        ending[-1].stdin.close()
        print(flush=True)
    elif line == "start without server\\n":
        command = ["nginx: worker process", "-c", "import sys; sys.stdin.read()"]
        without_server = subprocess.Popen(command, stdin=subprocess.PIPE, executable=sys.argv[1])
        print(flush=True)
    else:
        command = ["nginx: worker process", "-c", {WORKER!r}, *sys.argv[2:]]
        workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, executable=sys.argv[1]))
"""


class Kong:
    """An nginx master and its workers, as far as a plugin server can tell."""

    def __init__(
        self, prefix: Path, command: tuple[str, ...], in_background: bool, limits: dict[str, float]
    ) -> None:
        """limits: of the plugin servers. in_background: the master leads a session, as a daemon does; it does not in
        a container."""
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
            env={
                "PWD": str(prefix),
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                "TEST_LIMITS": json.dumps(limits),
            },
            start_new_session=in_background,
        )
        self.prefix = prefix

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start_worker(self) -> psutil.Process:
        """The plugin server of a new worker, as soon as it is started."""
        return psutil.Process(int(self._say("start")))

    def start_worker_without_server(self) -> None:
        """Any but the first of a Kong."""
        self._say("start without server")

    def retire_worker(self) -> None:
        """The oldest worker ends."""
        self._say("retire")

    def quit_worker(self) -> None:
        """The oldest worker is told to end, as by a reload, or by a stop that lets requests finish."""
        self._say("quit")

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
