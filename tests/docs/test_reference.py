"""The documentation says what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
)


def test_what_is_generated_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run scripts/generate.py:\n{done.stdout}{done.stderr}"


def test_every_setting_is_described_and_no_description_is_of_a_setting_that_is_gone() -> None:
    program = (
        "import reference, json;"
        "paths = {path for path, _ in reference.paths()};"
        "print(json.dumps([sorted(reference.undescribed()), sorted(set(reference.BESIDE) - paths)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[[], []]"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_headings_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target, fragment in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", text):
        if "://" in target:
            continue
        aim = page.parent / target if target else page
        headings = re.findall(r"^#+ (.*)$", aim.read_text(), re.MULTILINE)
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert fragment in anchors, f"{page.name} links to {target}#{fragment}"


def test_commands_in_the_documentation_exist() -> None:
    from yeastarctl import main

    context = click.Context(main)
    told = "\n".join(page.read_text() for page in PAGES)
    for group, command in re.findall(r"yeastarctl (key|config) ([a-z]+)", told):
        assert command in main.get_command(context, group).commands
    for command in re.findall(r"`yeastarctl ([a-z]+)[` ]", told):
        assert command in main.list_commands(context)


def test_make_targets_in_the_documentation_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        # In code only: prose makes other things.
        for code in re.findall(r"```.*?```|`[^`\n]+`", page.read_text(), re.DOTALL):
            for target in re.findall(r"(?:^|`|\n)make ([a-z0-9-]+)", code):
                assert target in targets, f"{page.name} says make {target}"
