"""The image's install steps, run for real: in a bare Ubuntu root instead of a container.

Left out of `make test`, because it needs root, a network, and minutes:

    debootstrap --variant=minbase noble /var/tmp/noble http://archive.ubuntu.com/ubuntu
    CLEAN_ROOT=/var/tmp/noble python -m pytest -m soak tests/packaging/test_clean_root.py

What Kong itself would bring is stood in for by the user `kong` and a command `kong` that agrees to everything.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging import dockerfile

ROOT = dockerfile.ROOT
BASE = os.environ.get("CLEAN_ROOT")
CHROOT = shutil.which("chroot") or "/usr/sbin/chroot"

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(BASE is None, reason="CLEAN_ROOT names no root directory"),
    pytest.mark.skipif(os.getuid() != 0, reason="chroot needs root"),
]

PROXY_AND_INDEX = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL")
CERTIFICATES = "/var/tmp/certificates.pem"  # not where the package ca-certificates writes its own


class Container:
    """A copy of the base root in which the instructions of a stage are carried out."""

    def __init__(self, directory: Path) -> None:
        self.root = directory
        self._shell = ["/bin/sh", "-c"]
        self._directory = "/"
        subprocess.run(["cp", "-a", f"{BASE}/.", directory], check=True)
        shutil.copy("/etc/resolv.conf", directory / "etc/resolv.conf")
        if certificates := os.environ.get("PIP_CERT"):
            shutil.copy(certificates, directory / CERTIFICATES.lstrip("/"))
        self.run(["useradd", "--create-home", "kong"])
        stand_in = directory / "usr/local/bin/kong"
        stand_in.write_text("#!/bin/sh\nexit 0\n")
        stand_in.chmod(0o755)

    def run(
        self, command: list[str], user: str = "root", environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the root. Raises AssertionError with its output where it fails."""
        given = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        given |= {name: os.environ[name] for name in PROXY_AND_INDEX if name in os.environ}
        if "PIP_CERT" in os.environ:
            given["PIP_CERT"] = CERTIFICATES
        inside = f'cd "{self._directory}" && exec "$@"'
        done = subprocess.run(
            [CHROOT, f"--userspec={user}:", self.root, "/bin/sh", "-c", inside, "sh", *command],
            env=given if environment is None else environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def build(self, stage: dockerfile.Stage, others: dict[str, Container]) -> None:
        user = "root"
        for instruction in stage.instructions:
            if instruction.name == "USER":
                user = instruction.text
            elif instruction.name == "SHELL":
                self._shell = instruction.words
            elif instruction.name == "WORKDIR":
                self._directory = instruction.text
                (self.root / self._directory.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif instruction.name == "RUN":
                self.run([*self._shell, instruction.text], user)
            elif instruction.name == "COPY":
                self._copy(dockerfile.Stage("", None, [instruction]), others)

    def _copy(self, one: dockerfile.Stage, others: dict[str, Container]) -> None:
        [(stage, sources, destination)] = one.copies()
        to = self.root / os.path.join(self._directory, destination).lstrip("/")
        for source in sources:
            origin = ROOT / source if stage is None else others[stage].root / source.lstrip("/")
            if origin.is_dir():
                shutil.copytree(origin, to, symlinks=True, dirs_exist_ok=True)
            else:
                into = to / origin.name if destination.endswith(("/", ".")) else to
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(origin, into)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    stages = dockerfile.read(ROOT / "kong/Dockerfile")
    built: dict[str, Container] = {}
    for number, stage in enumerate(stages):
        container = Container(tmp_path_factory.mktemp("root"))
        container.build(stage, built)
        built[stage.name or str(number)] = container
    yield container
    for container in built.values():
        shutil.rmtree(container.root)


def test_kong_gets_the_plugins_description_with_an_empty_environment(image: Container) -> None:
    said = image.run(["/usr/local/bin/yeastar-adapter", "-dump"], "kong", environment={}).stdout
    [plugin] = json.loads(said)
    assert plugin["Name"] == "yeastar-adapter"


def test_nothing_is_left_to_compile_when_it_runs(image: Container) -> None:
    find = ["find", "/opt/yeastar-adapter", "-name", "*.py", "-printf", "%h/__pycache__/%f\n"]
    sources = image.run(find).stdout.split()
    compiled = image.run(["find", "/opt/yeastar-adapter", "-name", "*.pyc"]).stdout.split()
    done = {path.rpartition(".cpython")[0] for path in compiled}
    missing = {path.removesuffix(".py") for path in sources if "site-packages" in path} - done
    assert not missing


@pytest.mark.parametrize("command", ["gcc", "cc", "make", "pip", "pip3"])
def test_no_compiler_and_no_pip_is_left(image: Container, command: str) -> None:
    found = image.run(
        ["/bin/sh", "-c", f"command -v {command} || ls /opt/yeastar-adapter/bin/{command} || true"]
    )
    assert found.stdout == ""


def test_the_environment_belongs_to_root_and_can_be_read_by_any_user(image: Container) -> None:
    odd = image.run(
        ["find", "/opt/yeastar-adapter", "!", "-user", "root", "-o", "!", "-type", "l", "!", "-perm", "-o=r"]
    )
    assert odd.stdout == ""
