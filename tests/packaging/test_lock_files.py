"""The lock files: every dependency, at one version, of which every file is known by its hash."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {
    "kong/requirements.lock": ROOT / "pyproject.toml",
    "kong/build-requirements.lock": ROOT / "kong/build-requirements.in",
    "upstream_stub/requirements.lock": ROOT / "upstream_stub/requirements.in",
}
every_lock = pytest.mark.parametrize("lock", LOCKS)


@every_lock
def test_every_requirement_is_pinned_at_a_version_that_fits_it(lock: str) -> None:
    pinned = _pinned(lock)
    for python in ("3.10", "3.11", "3.12", "3.13"):
        for requirement in _required(LOCKS[lock]):
            versions = [
                _version(pin)
                for pin in pinned
                if canonicalize_name(pin.name) == canonicalize_name(requirement.name)
                and _applies(pin, python)
            ]
            assert len(versions) == 1, f"{requirement} on Python {python}"
            assert requirement.specifier.contains(versions[0], prereleases=True), f"{requirement}"


@every_lock
def test_every_pin_has_the_hash_of_a_wheel_or_more(lock: str) -> None:
    entries = re.split(r"\n(?=\w)", (ROOT / lock).read_text().strip())
    for entry in entries:
        if not entry.startswith("#"):
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]


@every_lock
def test_it_names_no_index_and_says_how_it_was_made(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert f"--generate-hashes --output-file {lock}" in text


def test_the_wheel_is_built_with_what_pyproject_toml_asks_for() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    [backend] = re.findall(r'^requires = \["(.+)"\]$', text, re.MULTILINE)
    assert backend in (ROOT / "kong/build-requirements.in").read_text().splitlines()


def _required(path: Path) -> list[Requirement]:
    text = path.read_text()
    if path.suffix == ".in":
        return [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]
    [block] = re.findall(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    return [Requirement(found) for found in re.findall(r'^ *"([^"]+)"', block, re.MULTILINE)]


def _pinned(lock: str) -> list[Requirement]:
    lines = (ROOT / lock).read_text().splitlines()
    return [Requirement(line.rstrip(" \\")) for line in lines if re.match(r"\w", line)]


def _version(pin: Requirement) -> Version:
    [specifier] = pin.specifier
    assert specifier.operator == "=="
    return Version(specifier.version)


def _applies(pin: Requirement, python: str) -> bool:
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    environment |= {"sys_platform": "linux", "platform_python_implementation": "CPython"}
    return pin.marker is None or pin.marker.evaluate(environment)
