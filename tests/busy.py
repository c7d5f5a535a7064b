"""`python -m tests.busy [--runs 20] [--loops 8] [TESTS …]`: the tests of faults and fidelity on a busy machine.

Two cores are shared by the tests, run in eight processes, and so many loops that do nothing but spin. One line a run;
the end of what pytest said where a run is red. Ends with status 1 where one was.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# It looks for its parent itself, so that no loop is left behind by one that was killed.
SPIN = """
import os, sys
while os.getppid() == int(sys.argv[1]):
    for _ in range(1_000_000):
        pass
"""


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """Spin in so many processes until the block is left, or this process is gone."""
    parent = str(os.getpid())
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN, parent]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
        for process in spinning:
            process.wait()


def run(tests: list[str]) -> tuple[bool, str]:
    """Whether all of it was green, and what pytest said."""
    # What takes half a minute by itself takes minutes beside ten others: no test fails for that.
    options = ["-q", "-n", "8", "--dist", "worksteal", "--timeout", "600", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.returncode == 0, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.busy", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--loops", type=int, default=8)
    parser.add_argument("tests", nargs="*", default=["tests/faults", "tests/fidelity"])
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    red = 0
    with busy(given.loops):
        for number in range(1, given.runs + 1):
            started = time.monotonic()
            green, said = run(given.tests)
            red += not green
            if not green:
                print(said[-10_000:])
            verdict, summary = "green" if green else "RED  ", said.strip().splitlines()[-1].strip("= ")
            seconds = time.monotonic() - started
            load = os.getloadavg()[0]
            print(
                f"run {number} of {given.runs}  {verdict}  {seconds:.0f} s, load {load:.0f}: {summary}",
                flush=True,
            )
    print(f"{red} of {given.runs} red")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
