"""A machine with a Kong in production, at Kong's default prefix: what is started beside it changes nothing of it.

The machine is a mount namespace in which `/usr/local/kong` is the prefix of a plugin server that runs outside.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kong.embedded.child import Child

from .conftest import ROOT, PluginProcess, eventually
from .kong import Kong
from .rpc_client import PATIENCE

# $1: the prefix that is to be /usr/local/kong; $2: an empty directory. Where there is no /usr/local/kong it gets a
# /usr/local with all that is there already, and one directory more.
SETUP = """
set -e
prefix=$1 old=$2; shift 2
if [ ! -d /usr/local/kong ]; then
    mount --rbind /usr/local "$old"
    mount -t tmpfs none /usr/local
    for entry in "$old"/*; do
        name=/usr/local/${entry##*/}
        if [ -L "$entry" ]; then cp -P "$entry" "$name"
        elif [ -d "$entry" ]; then mkdir "$name"; mount --rbind "$entry" "$name"
        else touch "$name"; mount --bind "$entry" "$name"
        fi
    done
    mkdir /usr/local/kong
fi
mount --bind "$prefix" /usr/local/kong
exec "$@"
"""

NAMESPACES = (("--mount",), ("--mount", "--user", "--map-root-user"))
"""How to get one: as root, or as anybody where the system lets everybody have a user namespace."""


@pytest.fixture
def on_the_machine(prefix: Path, tmp_path: Path) -> tuple[str, ...]:
    """What to put before a command that is to be carried out there."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare(1)")
    old = tmp_path / "usr-local"
    old.mkdir()
    for options in NAMESPACES:
        command = ("unshare", *options, "bash", "-c", SETUP, "bash", str(prefix), str(old))
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("no mount namespace is to be had here")


@pytest.fixture
def production(start_kong: Callable[..., Kong], prefix: Path) -> Iterator[PluginProcess]:
    """The plugin server of a Kong whose prefix is `/usr/local/kong` on the machine; at the end it must be as it was."""
    server = start_kong(command=(sys.executable, "-m", "yeastar_adapter")).start_worker()
    running = PluginProcess(prefix, None, prefix / "log", "yeastar-adapter.socket")
    eventually(lambda: running.is_served_by(server.pid))
    there = {path.name: path.lstat().st_ino for path in prefix.iterdir()}
    yield running
    assert running.is_served_by(server.pid)
    assert {path.name: path.lstat().st_ino for path in prefix.iterdir()} == there


@pytest.fixture
def ports() -> dict[str, str]:
    """Free ones for the demo."""
    names = ("PROXY_PORT", "PROXY_SSL_PORT", "ADMIN_PORT", "STUB_PORT")
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = {name: str(probe.getsockname()[1]) for name, probe in zip(names, probes, strict=True)}
    for probe in probes:
        probe.close()
    return ports


def test_the_machine_has_kongs_default_prefix(
    on_the_machine: tuple[str, ...], production: PluginProcess
) -> None:
    listed = subprocess.run(
        [*on_the_machine, "ls", "/usr/local/kong"], capture_output=True, text=True, check=True
    )
    assert "yeastar-adapter.socket" in listed.stdout.split()


@pytest.mark.parametrize("options", [[], ["-p", "/usr/local/kong"]], ids=["nothing", "the prefix"])
@pytest.mark.parametrize("directory", ["/", "/usr/local/kong"])
def test_the_plugin_server_typed_there_leaves_production_alone(
    on_the_machine: tuple[str, ...], production: PluginProcess, options: list[str], directory: str
) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'plugins'}"}
    typed = subprocess.run(
        [*on_the_machine, "env", "-C", directory, sys.executable, "-m", "yeastar_adapter", *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert typed.returncode == 1
    (line,) = (typed.stdout + typed.stderr).splitlines()
    assert ("listens there" if options else "no prefix") in line


def test_the_demo_leaves_production_alone(
    on_the_machine: tuple[str, ...], production: PluginProcess, ports: dict[str, str], tmp_path: Path
) -> None:
    demo = Child(
        "make run",
        [*on_the_machine, sys.executable, "-m", "kong.embedded.demo", "--kong-yml", ROOT / "kong.yml"],
        log=tmp_path / "demo.log",
        environment={**os.environ, **ports},
        directory=ROOT,
    )
    demo.wait_for("Ctrl-C stops everything", 90)
    demo.send(signal.SIGINT)
    assert demo.stop(30) == 0


def test_the_acceptance_suite_leaves_production_alone(
    on_the_machine: tuple[str, ...], production: PluginProcess
) -> None:
    test = "tests/acceptance/test_authentication.py"
    suite = subprocess.run(
        [
            *on_the_machine,
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-x",
            test,
            "-k",
            "verify",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert suite.returncode == 0, suite.stdout
