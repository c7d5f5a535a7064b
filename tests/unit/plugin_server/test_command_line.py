"""Where the socket is, as far as anybody says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from kong_plugin_server.command_line import NoPrefix, parse, socket_path
from kong_plugin_server.process_tree import prefix_of_nginx


def path_of(*argv: str, master: int | None = None, **environment: str) -> str:
    return socket_path("yeastar-adapter", parse("yeastar-adapter", "1", list(argv)), environment, master)


@pytest.mark.parametrize("option", ["-p", "--kong-prefix", "-kong-prefix"])
def test_kongs_default_socket_is_in_the_prefix_that_is_given(option: str) -> None:
    assert path_of(option, "/run/kong") == "/run/kong/yeastar-adapter.socket"


def test_the_socket_can_be_named() -> None:
    assert path_of("-p", "/run/kong", "--socket-name", "other.sock") == "/run/kong/other.sock"


@pytest.mark.parametrize("mark", [".kong_env", "nginx-kong.conf", "nginx.conf", "pids"])
def test_a_working_directory_that_looks_like_a_prefix_is_no_prefix(
    mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / mark).touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoPrefix, match=r"give Kong's prefix with -p PREFIX or KONG_PREFIX"):
        path_of()


def test_a_name_for_the_socket_is_no_prefix() -> None:
    with pytest.raises(NoPrefix):
        path_of("--socket-name", "other.sock")


def test_the_prefix_of_the_environment_is_used() -> None:
    assert path_of(KONG_PREFIX="/var/run/kong") == "/var/run/kong/yeastar-adapter.socket"


@pytest.mark.parametrize(
    ("title", "prefix"),
    [
        (
            "nginx: master process /usr/local/openresty/nginx/sbin/nginx -p /var/run/kong -c nginx.conf",
            "/var/run/kong",
        ),
        ("nginx: master process nginx -c nginx.conf -p /srv/kong 2", "/srv/kong 2"),
    ],
)
def test_the_prefix_is_in_the_title_of_nginxs_master(title: str, prefix: str, tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cmdline").write_text(title)
    assert prefix_of_nginx(7, tmp_path) == Path(prefix)


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
