"""The workflow that runs all of this elsewhere."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / ".github/workflows/ci.yml"
WORKFLOW: dict[str, Any] = YAML(typ="safe", pure=True).load(PATH.read_text())
COMMANDS = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]


def test_it_is_a_workflow() -> None:
    schemas = resources.files("check_jsonschema") / "builtin_schemas/vendor"
    schema = json.loads((schemas / "github-workflows.json").read_text())
    jsonschema.Draft7Validator(schema).validate(WORKFLOW)


def test_every_python_that_is_promised_is_tested() -> None:
    versions = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"]
    [lowest] = re.findall(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())
    assert versions == ["3.10", "3.11", "3.12", "3.13"]
    assert versions[0] == lowest


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z0-9]+)", " ".join(COMMANDS)))))
def test_what_it_makes_can_be_made(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_its_token_may_read_and_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in WORKFLOW["jobs"].values())
