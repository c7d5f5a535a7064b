"""kong/docker-entrypoint.sh, which makes variables of secret files and then leaves the word to Kong's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "kong/docker-entrypoint.sh"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    directory = tmp_path / "secrets"
    directory.mkdir()
    return directory


def environment_after(secrets: Path, *arguments: str, **variables: str) -> tuple[dict[str, str], list[str]]:
    """What Kong's own entry point would see, and its arguments."""
    following = secrets.parent / "following"
    following.write_text('#!/bin/sh\nprintf "%s\\n" "$@"; echo --; env -0\n')
    following.chmod(0o755)
    given = {"PATH": os.environ["PATH"], "SECRETS_DIRECTORY": str(secrets), "NEXT_ENTRYPOINT": str(following)}
    done = subprocess.run(
        [SCRIPT, *arguments], env={**given, **variables}, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    passed, _, environment = done.stdout.partition("--\n")
    return dict(line.split("=", 1) for line in environment.split("\0") if line), passed.splitlines()


def test_a_secret_file_becomes_the_variable_that_a_vault_reference_names(secrets: Path) -> None:
    (secrets / "futuresms-password").write_text("p$(touch x)`id` 'a \"b\\ é\n")
    environment, arguments = environment_after(secrets, "kong", "docker-start")
    assert environment["FUTURESMS_PASSWORD"] == "p$(touch x)`id` 'a \"b\\ é"
    assert arguments == ["kong", "docker-start"]


def test_a_variable_that_is_set_is_left_alone_and_a_blank_one_is_not(secrets: Path) -> None:
    for name in ("futuresms_username", "futuresms_password"):
        (secrets / name).write_text("of-the-file")
    environment, _ = environment_after(secrets, "kong", FUTURESMS_USERNAME="set", FUTURESMS_PASSWORD="")
    assert environment["FUTURESMS_USERNAME"] == "set"
    assert environment["FUTURESMS_PASSWORD"] == "of-the-file"


@pytest.mark.parametrize("name", ["a b", "x;id", "1st", "$(id)", "é", "x.txt"])
def test_a_file_whose_name_makes_no_variable_is_left_out(secrets: Path, name: str) -> None:
    (secrets / name).write_text("no")
    environment, _ = environment_after(secrets, "kong")
    assert "no" not in environment.values()


def test_directories_and_an_absent_directory_do_not_matter(secrets: Path) -> None:
    (secrets / "kubernetes.io").mkdir()
    (secrets / "serviceaccount").mkdir()
    assert environment_after(secrets, "kong")[1] == ["kong"]
    for one in secrets.iterdir():
        one.rmdir()
    assert environment_after(secrets, "kong")[1] == ["kong"]
    secrets.rmdir()
    assert environment_after(secrets, "sh", "-c", "a b")[1] == ["sh", "-c", "a b"]


@pytest.mark.parametrize("locked", ["secrets", "secrets/futuresms-password"])
def test_what_cannot_be_read_is_said(locked: str) -> None:
    nobody = 65534 if os.getuid() == 0 else os.getuid()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        root.chmod(0o755)
        (root / "secrets").mkdir(mode=0o755)
        (root / "secrets/futuresms-password").write_text("secret")
        (root / locked).chmod(0)
        given = {
            "PATH": os.environ["PATH"],
            "SECRETS_DIRECTORY": str(root / "secrets"),
            "NEXT_ENTRYPOINT": "env",
        }
        script = shutil.copy(SCRIPT, root)
        for how, status in (("", 1), ("allowed", 0)):
            given["UNREADABLE_SECRETS"] = how
            done = subprocess.run(
                [script], env=given, capture_output=True, text=True, check=False, user=nobody, cwd="/"
            )
            [line] = done.stderr.splitlines()
            assert f"cannot be read by user {nobody}" in line
            assert done.returncode == status
            assert "FUTURESMS_PASSWORD" not in done.stdout
        (root / locked).chmod(0o700)
