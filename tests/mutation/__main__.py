"""`python -m tests.mutation [WORD …]`: break each line of `mutants.py` in a copy of the checkout and see its test fail.

Ends with status 1 when a mutant survives, or when its test fails without it. WORD: only promises that have it.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from .mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
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
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        copy = copy_of_the_checkout(Path(directory))
        for test in dict.fromkeys(mutant.test for mutant in chosen):
            if said := failure(copy, test):
                print(f"fails without any mutant: {test}\n{said}")
                return 1
        for mutant in chosen:
            test = caught_by(copy, mutant)
            survivors += not test
            print(
                f"{'caught  ' if test else 'SURVIVES'}  {mutant.promise}  ({mutant.path})  {test}", flush=True
            )
    print(f"{len(chosen) - survivors} of {len(chosen)} caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
