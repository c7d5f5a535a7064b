"""`python -m kong.embedded`: one clear line for what cannot be served, and nothing left running."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kong.embedded.child import Child
from tests.fidelity.recording import PATIENCE, ROOT, ReplayGateway
from tests.harness.gateway import wait_until

_KONG_YML = '_format_version: "3.0"\n'
_DUMP = {
    "Protocol": "MsgPack:1",
    "Plugins": [
        {
            "Name": "yeastar-adapter",
            "Version": "1",
            "Priority": 1000,
            "Phases": ["access"],
            "Schema": {
                "name": "yeastar-adapter",
                "fields": [{"config": {"type": "record", "fields": []}}],
            },
        }
    ],
}
_SERVER = f"import sys, time\nif '-dump' in sys.argv:\n    raise SystemExit(print({json.dumps(_DUMP)!r}))\n"


@pytest.fixture
def kong_yml(tmp_path: Path) -> Path:
    path = tmp_path / "kong.yml"
    path.write_text(_KONG_YML, encoding="utf-8")
    return path


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A plugin server that describes its plugin and then does what a test appends."""
    path = tmp_path / "server.py"
    path.write_text(_SERVER, encoding="utf-8")
    return path


def _command(tmp_path: Path, *options: str) -> list[str]:
    """The gateway with kong.yml; options given twice count as given last."""
    command = [sys.executable, "-m", "kong.embedded", "--prefix", str(tmp_path / "prefix")]
    command += ["--proxy-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    return [*command, "--kong-yml", str(tmp_path / "kong.yml"), *options]


def _run(tmp_path: Path, *options: str) -> str:
    """The line that the gateway ends with."""
    result = subprocess.run(
        _command(tmp_path, *options), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert result.returncode == 1, result.stderr
    assert result.stdout == ""
    assert not _processes_in(tmp_path / "prefix")
    lines = [line for line in result.stderr.splitlines() if line.startswith("kong.embedded: ")]
    assert lines == result.stderr.splitlines()[-1:]
    return lines[0].removeprefix("kong.embedded: ")


def _processes_in(prefix: Path) -> list[psutil.Process]:
    """Plugin servers of this prefix, which is their working directory."""
    return [process for process in psutil.process_iter() if _works_in(process, prefix)]


def _works_in(process: psutil.Process, directory: Path) -> bool:
    try:
        return bool(process.cwd() == str(directory) and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _plugin(server: Path) -> tuple[str, str]:
    return "--plugin-command", f"yeastar-adapter={sys.executable} {server}"


@pytest.mark.parametrize("option", ["--proxy-listen", "--admin-listen"])
def test_a_port_that_is_taken(tmp_path: Path, kong_yml: Path, option: str, server: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = _run(tmp_path, *_plugin(server), option, address)
    assert line == f"cannot listen on {address}: address already in use"


def test_an_address_that_is_none(tmp_path: Path, kong_yml: Path, server: Path) -> None:
    line = _run(tmp_path, *_plugin(server), "--proxy-listen", "8000x")
    assert line == "'8000x' is not an address: HOST:PORT is needed"


def test_a_kong_yml_that_is_not_there(tmp_path: Path, server: Path) -> None:
    line = _run(tmp_path, *_plugin(server))
    assert line == f"cannot read {tmp_path / 'kong.yml'}: No such file or directory"


def test_a_kong_yml_that_is_broken(tmp_path: Path, kong_yml: Path, server: Path) -> None:
    kong_yml.write_text(_KONG_YML + "services:\n  - name: s\n    url: nowhere\n", encoding="utf-8")
    assert _run(tmp_path, *_plugin(server)).startswith(f"{kong_yml}:3: services[s]")


def test_a_plugin_command_without_a_command(tmp_path: Path, kong_yml: Path) -> None:
    line = _run(tmp_path, "--plugin-command", "yeastar-adapter")
    assert line == "--plugin-command needs NAME=COMMAND, not 'yeastar-adapter'"


def test_a_plugin_server_that_is_not_installed(tmp_path: Path, kong_yml: Path) -> None:
    line = _run(tmp_path, "--plugin-command", "yeastar-adapter=/no/such/command --at all")
    assert line == "plugin server 'yeastar-adapter': command not found: /no/such/command"


def test_a_plugin_server_that_cannot_describe_its_plugin(tmp_path: Path, kong_yml: Path) -> None:
    broken = tmp_path / "server.py"
    broken.write_text("raise SystemExit('a module is missing')\n", encoding="utf-8")
    line = _run(tmp_path, *_plugin(broken))
    assert line == "plugin server 'yeastar-adapter' did not describe its plugin: a module is missing"


def test_a_plugin_server_that_ends_at_once(tmp_path: Path, kong_yml: Path, server: Path) -> None:
    server.write_text(_SERVER + "raise SystemExit('no licence')\n", encoding="utf-8")
    line = _run(tmp_path, *_plugin(server))
    assert line == "plugin server 'yeastar-adapter' ended at once: no licence"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[ReplayGateway]:
    with ReplayGateway(tmp_path, _KONG_YML, "accepting_plugin") as gateway:
        yield gateway


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_gateway_and_plugin_server(gateway: ReplayGateway, number: signal.Signals) -> None:
    gateway.child.send(number)
    assert gateway.child.wait(PATIENCE) == 0
    assert not _processes_in(gateway.prefix)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process does not hear of its parent's death")
def test_a_plugin_server_does_not_outlive_a_killed_gateway(gateway: ReplayGateway) -> None:
    assert _processes_in(gateway.prefix)
    gateway.child.kill()
    wait_until(lambda: not _processes_in(gateway.prefix), PATIENCE, "the plugin server's end")


def test_a_signal_during_the_start_ends_it(tmp_path: Path, kong_yml: Path, server: Path) -> None:
    server.write_text(_SERVER + "open('started', 'w').close()\ntime.sleep(60)\n", encoding="utf-8")
    starting = Child(
        "kong.embedded", _command(tmp_path, *_plugin(server)), log=tmp_path / "log", directory=ROOT
    )
    try:
        wait_until((tmp_path / "prefix" / "started").exists, PATIENCE, "a plugin server")
        starting.send(signal.SIGTERM)
        assert starting.wait(PATIENCE) == 0
    finally:
        starting.stop()
    assert not _processes_in(tmp_path / "prefix")
