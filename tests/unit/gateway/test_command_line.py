"""Where the socket is, as far as anybody says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from kong_plugin_server import command_line
from kong_plugin_server.command_line import parse, socket_path


def path_of(*argv: str, **environment: str) -> str:
    return socket_path("yeastar-adapter", parse("yeastar-adapter", "1", list(argv)), environment)


@pytest.fixture(autouse=True)
def _no_nginx_above(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_line, "prefix_of_nginx", lambda pid: None)


@pytest.mark.parametrize("option", ["-p", "--kong-prefix", "-kong-prefix"])
def test_kongs_default_socket_is_in_the_prefix_that_is_given(option: str) -> None:
    assert path_of(option, "/run/kong") == "/run/kong/yeastar-adapter.socket"


def test_the_socket_can_be_named() -> None:
    assert path_of("-p", "/run/kong", "--socket-name", "other.sock") == "/run/kong/other.sock"


def test_the_working_directory_is_the_prefix_when_kong_lives_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".kong_env").touch()
    monkeypatch.chdir(tmp_path)
    assert path_of() == f"{tmp_path}/yeastar-adapter.socket"


def test_the_prefix_of_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kong_env").touch()
    monkeypatch.chdir(tmp_path)
    assert path_of(KONG_PREFIX="/var/run/kong") == "/var/run/kong/yeastar-adapter.socket"


def test_a_directory_that_is_not_kongs_is_not_taken_for_its_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kong = tmp_path / "kong"
    kong.mkdir()
    monkeypatch.setattr(command_line, "DEFAULT_PREFIX", kong)
    monkeypatch.chdir(tmp_path)
    assert path_of() == f"{kong}/yeastar-adapter.socket"


def test_kongs_setting_for_the_socket_is_honoured_from_the_environment() -> None:
    setting = {"KONG_PLUGINSERVER_YEASTAR_ADAPTER_SOCKET": "/run/other.sock", "KONG_PREFIX": "/run/kong"}
    assert path_of(**setting) == "/run/other.sock"
    assert path_of("-p", "/run/kong", **setting) == "/run/kong/yeastar-adapter.socket"


def test_kongs_setting_for_the_socket_is_honoured_from_its_own_settings(tmp_path: Path) -> None:
    (tmp_path / ".kong_env").write_text(
        "# DO NOT EDIT\npluginserver_names = yeastar-adapter\n"
        "pluginserver_yeastar_adapter_socket = /run/a\\#b.sock\n"
    )
    assert path_of(KONG_PREFIX=str(tmp_path)) == "/run/a#b.sock"


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        path_of("--version")
    assert end.value.code == 0
    assert capsys.readouterr().out == "yeastar-adapter 1\n"
