"""`python -m tests.mutation [WORD …]`: break each line of `mutants.py` in a copy of the checkout and see its test fail.

Ends with status 1 when a mutant survives, or when its test fails without it. WORD: only promises that have it.
"""

from __future__ import annotations

import queue
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
TRIED_AT_ONCE = 2
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
"""A line of pytest's summary."""


def copy_of_the_checkout(directory: Path) -> Path:
    """A copy with a virtual environment of its own, whose plugins are the copy's."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    copy = directory / "checkout"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    venv.create(copy / ".venv", with_pip=False, symlinks=True)
    python = copy / ".venv/bin/python"
    printed = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    paths = [str(copy / "plugins"), *packages]
    (Path(printed.stdout.strip()) / "mutation.pth").write_text("\n".join(paths) + "\n")
    return copy


def failure(copy: Path, test: str) -> str:
    """What pytest says of the first test that fails; empty where all pass."""
    command = [
        copy / ".venv/bin/python",
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        *shlex.split(test),
    ]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    said = done.stdout[-3000:] + done.stderr[-2000:]
    if done.returncode not in (0, 1) or (done.returncode == 1 and not FAILED.search(said)):
        raise SystemExit(f"pytest {test} ended with {done.returncode}:\n{said}")
    return "" if done.returncode == 0 else said


def caught_by(copy: Path, mutant: Mutant) -> str:
    """The test that fails with the mutant; empty where it survives."""
    path = copy / mutant.path
    text = path.read_text()
    try:
        path.write_text(text.replace(mutant.before, mutant.after))
        found = FAILED.search(failure(copy, mutant.test))
        return found[1] if found else ""
    finally:
        path.write_text(text)


def main(words: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.promise for word in words)]
    copies: queue.Queue[Path] = queue.Queue()

    def attempt(mutant: Mutant) -> str:
        copy = copies.get()
        try:
            return caught_by(copy, mutant)
        finally:
            copies.put(copy)

    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        first = copy_of_the_checkout(Path(directory) / "1")
        files = dict.fromkeys(shlex.split(mutant.test)[0] for mutant in chosen)
        if said := failure(first, f"-n {TRIED_AT_ONCE} {' '.join(files)}"):
            print(f"fails without any mutant:\n{said}")
            return 1
        copies.put(first)
        for number in range(2, TRIED_AT_ONCE + 1):
            copies.put(copy_of_the_checkout(Path(directory) / str(number)))
        survivors = 0
        with ThreadPoolExecutor(TRIED_AT_ONCE) as pool:
            for mutant, test in zip(chosen, pool.map(attempt, chosen), strict=True):
                survivors += not test
                verdict = "caught  " if test else "SURVIVES"
                print(f"{verdict}  {mutant.promise}  ({mutant.path})  {test}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
