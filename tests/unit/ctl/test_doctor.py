"""`yeastarctl doctor`, with the real plugin server, a real Redis server and the FutureSMS stub."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from ruamel.yaml import YAML
from yeastar_adapter import __version__
from yeastar_adapter.futuresms.merchant import Account
from yeastar_adapter.limits.settings import RedisSettings
from yeastarctl.doctor import futuresms, plugin_server, redis_server
from yeastarctl.doctor.line import Line

from kong.embedded.child import Child
from tests.harness.authority import Authority
from tests.harness.redis import RedisServer
from tests.harness.stub import PASSWORD, USERNAME, StubServer
from tests.unit.ctl.conftest import AnsweringServer, Cli

ROOT = Path(__file__).resolve().parents[3]
SOCKET = "yeastar-adapter.socket"


@pytest.fixture
def prefix() -> Iterator[Path]:
    """A directory with a short path: the name of a Unix socket has at most 107 characters."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@contextlib.contextmanager
def serving(prefix: Path, *options: str | Path) -> Iterator[None]:
    """The adapter's process."""
    command = [sys.executable, "-m", "yeastar_adapter", *options]
    child = Child("plugin server", command, log=prefix / "log", directory=prefix)
    try:
        child.wait_for(r"serves at", 30)
        yield
    finally:
        child.stop()


@pytest.fixture
def served(prefix: Path) -> Iterator[Path]:
    """A prefix with the adapter's process behind its socket."""
    with serving(prefix, "-p", prefix):
        yield prefix


@pytest.fixture
def kong_yml(tmp_path: Path, redis_server: RedisServer, stub: StubServer) -> Callable[..., Path]:
    """`kong_yml(edit)`: the project's kong.yml with this session's addresses, written to a file."""

    def write(edit: Callable[[dict[str, Any]], None] | None = None) -> Path:
        kong = YAML(typ="safe").load(ROOT / "kong.yml")
        service = kong["services"][0]
        service["url"] = stub.url
        plugins = service["routes"][0]["plugins"]
        (config,) = [plugin["config"] for plugin in plugins if plugin["name"] == "yeastar-adapter"]
        config["rate_limit"]["redis"] = redis_server.settings()
        if edit:
            edit(config)
        path = tmp_path / "kong.yml"
        YAML(typ="safe").dump(kong, path)
        return path

    return write


ENVIRONMENT = {"FUTURESMS_USERNAME": USERNAME, "FUTURESMS_PASSWORD": PASSWORD}


def states(lines: list[Line]) -> list[str]:
    return [line.state for line in lines]


def test_all_is_well(cli: Cli, served: Path, kong_yml: Callable[..., Path], stub: StubServer) -> None:
    result = cli("doctor", "--prefix", served, "--config", kong_yml(), env=ENVIRONMENT)
    assert result.exit_code == 0, result.output
    assert "✗" not in result.output
    assert f"version: process, reader and guard are {__version__}" in result.output
    for words in ("answers in", "Redis", "counts in", f"FutureSMS {USERNAME}: log-in", "clock", "vault"):
        assert words in result.output
    calls = stub.status()["calls"]
    assert calls["POST /api/v1/auth/login 200"] == 1
    assert any(call.startswith("GET /api/v1/auth/me 200") for call in calls)
    assert any(call.startswith("POST /api/v1/auth/logout 2") for call in calls)
    assert stub.orders() == []


def test_the_report_as_json(cli: Cli, served: Path, kong_yml: Callable[..., Path]) -> None:
    result = cli("doctor", "--prefix", served, "--config", kong_yml(), "--json", env=ENVIRONMENT)
    told = json.loads(result.stdout)
    assert told["ok"] is True
    assert {check["state"] for check in told["checks"]} <= {"ok", "warn", "skip"}
    assert PASSWORD not in result.stdout


def test_without_a_configuration_only_the_process_is_looked_at(cli: Cli, served: Path) -> None:
    result = cli("doctor", "--prefix", served)
    assert result.exit_code == 0
    assert "--config kong.yml" in result.output


def test_instances_are_counted_and_their_configuration_is_not_shown(prefix: Path) -> None:
    instance = {"Name": "yeastar-adapter", "Id": 7, "Config": {"password": "secret"}}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(prefix / SOCKET))
        listener.listen()
        answer_once(
            listener, [1, 1, None, {"Pid": 1, "Plugins": {"yeastar-adapter": {"Instances": [instance]}}}]
        )
        lines = list(plugin_server.check(prefix / SOCKET))
    assert states(lines) == ["ok", "ok", "ok", "warn"]  # it answers once, and so does not tell its version
    assert "1 started" in lines[2].detail
    assert "secret" not in repr(lines)


def answer_once(listener: socket.socket, message: Any) -> None:

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(msgpack.packb(message) if not isinstance(message, bytes) else message)

    threading.Thread(target=serve, daemon=True).start()


@pytest.mark.parametrize(
    "message", [b"HTTP/1.1 400 Bad Request\r\n\r\n", [1, 1, "no such method", None], [2], b""], ids=repr
)
def test_something_else_behind_the_socket_is_a_failure(prefix: Path, message: Any) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(prefix / SOCKET))
        listener.listen()
        answer_once(listener, message)
        lines = list(plugin_server.check(prefix / SOCKET, timeout=5))
    assert states(lines)[1] == "fail"


def test_a_process_that_hangs_is_a_failure_after_the_time_limit(prefix: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(prefix / SOCKET))
        listener.listen()
        lines = list(plugin_server.check(prefix / SOCKET, timeout=0.2))
    assert states(lines) == ["ok", "fail"]
    assert "hangs" in lines[1].detail


def test_a_socket_that_nobody_listens_at_is_a_failure(prefix: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(prefix / SOCKET))
    (_, line) = plugin_server.check(prefix / SOCKET)
    assert (line.state, "nothing listens" in line.detail) == ("fail", True)


def test_no_socket_says_what_kong_needs(cli: Cli, prefix: Path) -> None:
    result = cli("doctor", "--prefix", prefix)
    assert result.exit_code == 1
    assert "pluginserver_names" in result.output


def test_the_socket_may_be_elsewhere(cli: Cli, prefix: Path) -> None:
    with serving(prefix, "--socket-name", "adapter.socket", "-p", prefix):
        assert cli("doctor", "--prefix", prefix).exit_code == 1
        assert cli("doctor", "--socket", prefix / "adapter.socket").exit_code == 0


def test_without_a_prefix_the_servers_of_this_machine_are_found(cli: Cli, served: Path) -> None:
    assert f"socket: {served / SOCKET}" in cli("doctor").output


def test_no_prefix_is_said_to_be_none(cli: Cli, prefix: Path) -> None:
    result = cli("doctor", "--prefix", prefix / "nowhere")
    assert result.exit_code == 1
    assert "--prefix DIR" in result.output


def test_a_socket_of_the_wrong_name_is_recognised(prefix: Path) -> None:
    (prefix / "yeastar-adapter.sock").touch()
    (line,) = plugin_server.check(prefix / SOCKET)
    assert "Kong looks for" in line.detail


def test_a_file_in_the_socket_s_place_is_recognised(prefix: Path) -> None:
    (prefix / SOCKET).touch()
    (line,) = plugin_server.check(prefix / SOCKET)
    assert (line.state, "not a socket" in line.detail) == ("fail", True)


def redis_settings(server: RedisServer, **changes: Any) -> RedisSettings:
    return RedisSettings(**{**server.settings(), **changes})


def test_redis_is_asked_for_its_latency(redis_server: RedisServer) -> None:
    (line,) = redis_server_check(redis_settings(redis_server, timeout_ms=60000))
    assert line.state == "ok"
    assert "ms (median)" in line.detail


def redis_server_check(settings: RedisSettings) -> list[Line]:
    return list(redis_server.check(settings))


def test_a_redis_server_slower_than_its_limit_is_a_warning(redis_server: RedisServer) -> None:
    settings = redis_settings(redis_server, timeout_ms=0)
    assert states(redis_server_check(settings)) == ["warn"]


def test_redis_away_is_a_failure(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    server.kill()
    (line,) = redis_server_check(redis_settings(server))
    assert (line.state, "not reachable" in line.detail) == ("fail", True)


def test_redis_that_hangs_is_a_failure(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    server.pause()
    (line,) = redis_server_check(redis_settings(server))
    assert (line.state, "no answer" in line.detail) == ("fail", True)
    server.resume()


def test_a_wrong_redis_password_is_a_failure_that_says_so(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(password="right-password")
    for wrong in ("wrong-password", None):
        (line,) = redis_server_check(redis_settings(server, password=wrong))
        assert line.state == "fail"
        assert "password" in line.todo
        assert "wrong-password" not in repr(line)
    assert states(redis_server_check(redis_settings(server, timeout_ms=60000))) == ["ok"]


COMMANDS = ("eval", "evalsha", "get", "set", "time")


def test_a_redis_user_with_no_more_than_counting_takes_is_enough(
    start_redis: Callable[..., RedisServer],
) -> None:
    rights = " ".join(f"+{command}" for command in COMMANDS)
    server = start_redis(users={"limited": f"on >limited-password ~yeastar-adapter:* {rights}"})
    settings = redis_settings(server, username="limited", password="limited-password", timeout_ms=60000)
    assert states(redis_server_check(settings)) == ["ok"]


@pytest.mark.parametrize("missing", [command for command in COMMANDS if command != "time"])
def test_a_missing_redis_command_is_named(start_redis: Callable[..., RedisServer], missing: str) -> None:
    rights = " ".join(f"+{command}" for command in COMMANDS if command != missing)
    server = start_redis(users={"limited": f"on >limited-password ~* +ping {rights}"})
    settings = redis_settings(server, username="limited", password="limited-password", timeout_ms=60000)
    (line,) = redis_server_check(settings)
    assert (line.state, f"may not use {missing}:" in line.detail) == ("fail", True), line
    assert all(f"+{command}" in line.todo for command in COMMANDS)


def test_without_the_servers_clock_each_node_has_its_own(start_redis: Callable[..., RedisServer]) -> None:
    rights = " ".join(f"+{command}" for command in COMMANDS if command != "time")
    server = start_redis(users={"limited": f"on >limited-password ~* {rights}"})
    settings = redis_settings(server, username="limited", password="limited-password", timeout_ms=60000)
    clock, counted = redis_server_check(settings)
    assert (clock.state, "may not use time" in clock.detail, counted.state) == ("warn", True, "ok")


def test_a_redis_user_who_may_not_use_the_keys_is_a_failure(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(users={"limited": "on >limited-password ~other:* +@all"})
    settings = redis_settings(server, username="limited", password="limited-password", timeout_ms=60000)
    (line,) = redis_server_check(settings)
    assert (line.state, "~yeastar-adapter:*" in line.todo) == ("fail", True)


def test_a_full_redis_server_is_a_warning(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with server.client() as client:
        for number in range(300):
            client.set(f"of somebody else {number}", b"x" * 100_000)
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", int(used * 1.05))
        client.config_set("maxmemory-policy", "allkeys-lru")
    lines = redis_server_check(redis_settings(server, timeout_ms=60000))
    assert states(lines) == ["ok", "warn"], lines


def test_a_redis_server_that_refuses_to_count_is_a_failure(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis()
    with server.client() as client:
        client.config_set("maxmemory", 1)
    (line,) = redis_server_check(redis_settings(server))
    assert (line.state, "maxmemory" in line.detail) == ("fail", True), line


def futuresms_check(account: Account) -> list[Line]:
    return list(futuresms.check(account))


def test_a_refused_login_is_a_failure_and_is_tried_once(stub: StubServer) -> None:
    (line,) = futuresms_check(Account(stub.url, USERNAME, "wrong"))
    assert (line.state, "10005" in line.todo) == ("fail", True)
    assert stub.count("POST /api/v1/auth/login") == 1


def test_futuresms_away_is_a_failure_with_the_reason() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        (line,) = futuresms_check(Account(url, "user", "password"))
    assert (line.state, "10007" in line.todo) == ("fail", True)
    assert "Connection refused" in line.detail


def test_something_else_at_the_address_is_a_failure(answering: Callable[..., AnsweringServer]) -> None:
    server = answering(200, b"<html>Welcome to nginx!</html>")
    (line,) = futuresms_check(Account(server.url, "user", "password"))
    assert (line.state, "without a token" in line.detail) == ("fail", True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def tls_stub(tmp_path: Path, authority: Authority) -> Iterator[StubServer]:
    """FutureSMS with a certificate of an authority that only this test knows."""
    server = StubServer(tmp_path, tls=authority.issue())
    yield server
    server.stop()


def test_the_chain_of_an_authority_that_is_configured_is_trusted(
    tls_stub: StubServer, authority: Authority
) -> None:
    account = Account(tls_stub.tls_url, USERNAME, PASSWORD, ca_certificates=str(authority.certificate))
    lines = futuresms_check(account)
    assert (lines[0].subject, lines[0].state) == ("TLS localhost", "ok")
    assert str(authority.certificate) in lines[0].detail
    assert any("log-in at https://" in line.detail for line in lines)


def test_an_authority_that_nobody_trusts_is_a_failure_that_names_it(tls_stub: StubServer) -> None:
    (chain,) = futuresms_check(Account(tls_stub.tls_url, USERNAME, PASSWORD))
    assert (chain.state, "is not trusted" in chain.detail) == ("fail", True)
    assert "ca_certificates" in chain.todo


def test_a_file_of_authorities_that_is_not_there_is_a_failure(tls_stub: StubServer, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.pem")
    (line,) = futuresms_check(Account(tls_stub.tls_url, USERNAME, PASSWORD, ca_certificates=missing))
    assert (line.state, missing in line.detail) == ("fail", True)


def test_a_clock_that_is_off_is_a_warning(answering: Callable[..., AnsweringServer]) -> None:
    def answer(request: tuple[str, str, dict[str, str], bytes]) -> tuple[int, dict[str, str], bytes]:
        tokens = {"access_token": "t", "access_token_expires_at": "2020-01-01T01:00:00Z"}
        return 200, {"Date": "Wed, 01 Jan 2020 00:00:00 GMT"}, json.dumps({"data": tokens}).encode()

    server = answering(answer)
    lines = futuresms_check(Account(server.url, "user", "password"))
    by_subject = {line.subject: line for line in lines if line.state == "warn"}
    assert "ahead of" in by_subject["clock"].detail
    assert any("60 minutes" in line.detail for line in lines)


def test_tokens_with_a_short_life_are_a_warning(stub: StubServer) -> None:
    stub.token_life(access_seconds=5)
    lines = futuresms_check(Account(stub.url, USERNAME, PASSWORD))
    assert "warn" in states(lines)


def test_an_unset_variable_is_a_failure_that_names_it(
    cli: Cli, served: Path, kong_yml: Callable[..., Path]
) -> None:
    env = {"FUTURESMS_USERNAME": USERNAME, "FUTURESMS_PASSWORD": None}
    result = cli("doctor", "--prefix", served, "--config", kong_yml(), env=env)
    assert result.exit_code == 1
    assert "FUTURESMS_PASSWORD" in result.output


def test_each_account_is_tried_once(
    cli: Cli, served: Path, kong_yml: Callable[..., Path], stub: StubServer
) -> None:
    def edit(config: dict[str, Any]) -> None:
        config["consumers"][0]["merchant"] = {"username": "second", "password": "second-password"}
        config["consumers"][1]["enabled"] = True

    stub.merchant("second", password="second-password")
    result = cli("doctor", "--prefix", served, "--config", kong_yml(edit), env=ENVIRONMENT)
    assert "FutureSMS second: log-in" in result.output
    assert stub.count("POST /api/v1/auth/login") == 2


def test_futuresms_can_be_left_alone(
    cli: Cli, served: Path, kong_yml: Callable[..., Path], stub: StubServer
) -> None:
    result = cli("doctor", "--prefix", served, "--config", kong_yml(), "--no-futuresms", env=ENVIRONMENT)
    assert result.exit_code == 0
    assert stub.count("POST /api/v1/auth/login") == 0


def test_a_configuration_that_is_no_yaml_is_a_failure_and_no_crash(cli: Cli, served: Path) -> None:
    broken = served / "kong.yml"
    broken.write_text("services: [")
    result = cli("doctor", "--prefix", served, "--config", broken)
    assert result.exit_code == 1
    assert "not YAML" in result.output
