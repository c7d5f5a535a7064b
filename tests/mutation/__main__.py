"""`python -m tests.mutation [WORD …]`: break each line of `mutants.py` in a copy of the checkout and see its test fail.

Ends with status 1 when a mutant survives, or when its test fails without it. WORD: only promises that have it.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

from .mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]


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
    paths = [
        str(copy / "plugins"),
        *dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")),
    ]
    (Path(printed.stdout.strip()) / "mutation.pth").write_text("\n".join(paths) + "\n")
    return copy


def passes(copy: Path, test: str) -> bool:
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
    if done.returncode not in (0, 1):
        raise SystemExit(
            f"pytest {test} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.returncode == 0


def survives(copy: Path, mutant: Mutant) -> bool:
    path = copy / mutant.path
    text = path.read_text()
    try:
        path.write_text(text.replace(mutant.before, mutant.after))
        return passes(copy, mutant.test)
    finally:
        path.write_text(text)


def main(words: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.promise for word in words)]
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        copy = copy_of_the_checkout(Path(directory))
        for test in dict.fromkeys(mutant.test for mutant in chosen):
            if not passes(copy, test):
                print(f"fails without any mutant: {test}")
                return 1
        for mutant in chosen:
            alive = survives(copy, mutant)
            survivors += alive
            print(f"{'SURVIVES' if alive else 'caught  '}  {mutant.promise}  ({mutant.path})", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
