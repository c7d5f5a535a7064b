"""`python -m tests.packaging.containers [--engine docker|podman] [--only NAME …] [--write FILE]`"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from pathlib import Path

from . import RUNS
from .engine import BASE_IMAGES, Engine, NoEngine, Project
from .table import Failed, Row, markdown


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.packaging.containers", description=__doc__)
    parser.add_argument("--engine", choices=("docker", "podman"), default="docker")
    parser.add_argument(
        "--only", nargs="+", choices=RUNS, default=list(RUNS), metavar="NAME", help=", ".join(RUNS)
    )
    parser.add_argument("--write", type=Path, help="the table, into this file too")
    parser.add_argument("--log", type=Path, help="a directory for the logs of what fails")
    given = parser.parse_args()
    try:
        engine = Engine(given.engine)
        engine.need(*BASE_IMAGES)
    except NoEngine as problem:
        print(f"skipped: {problem}", file=sys.stderr)
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing stays behind
    project = Project(engine)
    rows: list[Row] = []
    failed = []
    try:
        project.compose("build")
        for name in given.only:
            started = time.monotonic()
            try:
                found = RUNS[name](project)
            except NoEngine as problem:
                found = [Row(name, f"skipped: {problem}")]
            except AssertionError as problem:
                failed.append(name)
                found = problem.rows if isinstance(problem, Failed) else []
                found.append(Row(name, "FAILED: " + " ".join(str(problem).split())[:200]))
                print(f"{name} failed:", file=sys.stderr)
                traceback.print_exception(problem)
                if given.log:
                    logs = project.compose("--profile", "*", "logs", "--no-color", check=False).stdout
                    (given.log / f"{name}.log").write_text(logs)
            rows += found
            for row in found:
                print(" | ".join(row.cells()), f"({time.monotonic() - started:.0f} s)", flush=True)
    finally:
        project.remove()
    table = f"{engine.name} {engine.version}, Compose {engine.compose_version}\n\n{markdown(rows)}\n"
    print(f"\n{table}")
    if given.write:
        given.write.write_text(table)
    print(f"{len(given.only) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
