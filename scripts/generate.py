"""Writes what is derived: the reference parts and the pictures of docs/.

python scripts/generate.py            write
python scripts/generate.py --check    say what is out of date, and exit with 1 if anything is
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import reference
import setting_examples
from pictures import PICTURES

ROOT = Path(__file__).resolve().parent.parent


def outputs() -> Iterator[tuple[Path, str]]:
    """Every derived file and its text."""
    for name, picture in PICTURES.items():
        yield ROOT / f"docs/images/{name}.svg", picture().svg()
    yield _filled("configuration.md", settings=reference.configuration())
    yield _filled("settings.md", settings=setting_examples.page())
    yield _filled("errors.md", codes=reference.errors(), translation=reference.translation())
    yield _filled("yeastarctl.md", commands=reference.commands())
    yield _filled("config-check.md", rules=reference.rules())


def _filled(page: str, **parts: str) -> tuple[Path, str]:
    """A page of docs/ with the text between its `<!-- generated: NAME -->` and `<!-- end -->` replaced."""
    path = ROOT / "docs" / page
    text = path.read_text()
    for name, part in parts.items():
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        before, found, after = text.partition(begin)
        if not found:
            raise SystemExit(f"{page} has no place for {name}")
        text = f"{before}{begin}\n{part}\n{end}{after.partition(end)[2]}"
    return path, text


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = [(path, text) for path, text in outputs() if not path.exists() or path.read_text() != text]
    for path, text in stale:
        print(("out of date: " if check else "wrote ") + str(path.relative_to(ROOT)))
        if not check:
            path.write_text(text)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
