"""Plugin servers: how they are run, which instances each worker keeps, what a reload does with them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.fidelity.prefix import RECORD
from tests.fidelity.recording import PATIENCE, ReplayGateway
from tests.fidelity.upstream import ANSWER_HEADERS, Upstream
from tests.harness.gateway import wait_until

_KONG_YML = """
_format_version: "3.0"
services:
  - name: upstream
    url: http://127.0.0.1:UPSTREAM
    routes:
      - name: route
        paths: ["/adapter"]
        plugins: PLUGINS
"""
_ADAPTER = '[{name: yeastar-adapter, config: {label: "LABEL"}}]'


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream(b'{"ok":true}', ANSWER_HEADERS, slow_seconds=50) as server:
        yield server


Start = Callable[..., ReplayGateway]


@pytest.fixture
def start(tmp_path: Path, upstream: Upstream) -> Iterator[Start]:
    """Start a gateway whose only route has the plugin."""
    started = []

    def start(**options: Any) -> ReplayGateway:
        started.append(ReplayGateway(tmp_path, _kong_yml(upstream, "first"), "accepting_plugin", **options))
        return started[-1]

    yield start
    for gateway in started:
        gateway.child.stop()


def _kong_yml(upstream: Upstream, label: str | None) -> str:
    plugins = _ADAPTER.replace("LABEL", label) if label is not None else "[]"
    return _KONG_YML.replace("UPSTREAM", str(upstream.port)).replace("PLUGINS", plugins)


def _ask(gateway: ReplayGateway, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str]]:
    """One request on a connection of its own; connections go to the workers in turn."""
    with gateway.connection() as connection:
        connection.request("POST", "/adapter", b"{}", headers or {})
        answer = connection.getresponse()
        answer.read()
        return answer.status, dict(answer.getheaders())


@contextmanager
def _held(gateway: ReplayGateway, upstream: Upstream, count: int = 1) -> Iterator[list[tuple[int, Any]]]:
    """Requests that the upstream answers at the end of the block; the list has their answers then."""
    answers: list[tuple[int, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(_ask(gateway, {"X-Up": "slow"}))) for _ in range(count)
    ]
    before = len(upstream.received)
    for thread in threads:
        thread.start()
    wait_until(lambda: len(upstream.received) == before + count, PATIENCE, "requests at the upstream")
    yield answers
    upstream.released.set()
    for thread in threads:
        thread.join(PATIENCE)


def _connections(gateway: ReplayGateway) -> int:
    """Connections to the plugin server's socket, accepted or not."""
    listens = "00010000"
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    prefix = str(gateway.prefix)
    return sum(len(line) > 7 and line[3] != listens and line[7].startswith(prefix) for line in lines)


def _calls(gateway: ReplayGateway, *names: str) -> list[list[Any]]:
    """What Kong has called, in order: [method, argument, result]."""
    calls: dict[Any, list[Any]] = {}
    done = []
    for entry in gateway.messages():
        message = entry["message"]
        if entry["from"] == "kong":
            calls[message[1]] = [message[2].removeprefix("plugin."), message[3][0], None]
            done.append(calls[message[1]])
        elif message[1] in calls:
            calls.pop(message[1])[2] = message[2] or message[3]
    return [call for call in done if call[0] in names]


def _config(call: list[Any]) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(call[1]["Config"])
    return config


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayGateway]:
    """A gateway for tests that leave it as it is."""
    with (
        Upstream(b'{"ok":true}', ANSWER_HEADERS, slow_seconds=50) as upstream,
        ReplayGateway(
            tmp_path_factory.mktemp("shared"),
            _kong_yml(upstream, "first"),
            "accepting_plugin",
            settings={"nginx_main_env": "ALLOWED"},
            environment={"ALLOWED": "yes", "SECRET": "not for plugins"},
        ) as gateway,
    ):
        yield gateway


def test_a_plugin_server_has_no_argument_but_the_prefix_and_no_environment_but_what_is_allowed(
    shared: ReplayGateway,
) -> None:
    gateway = shared
    (server,) = gateway.plugin_servers
    assert server.environ() == {"PWD": str(gateway.prefix), "ALLOWED": "yes"}
    assert server.cwd() == str(gateway.prefix)
    assert server.cmdline()[1:] == [str(gateway.prefix.parent / "plugin.py"), "-p", str(gateway.prefix)]


def test_what_a_plugin_server_prints_is_in_the_log(shared: ReplayGateway) -> None:
    gateway = shared
    (server,) = gateway.plugin_servers
    gateway.child.wait_for(rf"\[yeastar-adapter:{server.pid}\] .*the plugin of the replays", PATIENCE)


def test_a_plugin_server_that_dies_is_started_again_a_second_after_its_start(start: Start) -> None:
    gateway = start()
    assert _ask(gateway)[1]["X-Answered-By"] == "adapter"
    (server,) = gateway.plugin_servers
    server.kill()
    (fresh,) = wait_until(lambda: _others(gateway, server), PATIENCE, "another plugin server")
    gateway.child.wait_for(rf"started, pid {fresh.pid}\b", PATIENCE)
    assert "terminated: signal 9" in gateway.child.output()
    socket_is_there = gateway.prefix / "yeastar-adapter.socket"
    wait_until(
        lambda: socket_is_there.exists() and _answered_by_adapter(gateway), PATIENCE, "the plugin again"
    )


def test_an_instance_of_a_server_that_died_is_asked_for_and_then_started_anew(start: Start) -> None:
    gateway = start(workers=1)
    _ask(gateway)
    (server,) = gateway.plugin_servers
    (gateway.prefix / RECORD).unlink()
    server.kill()
    wait_until(lambda: _others(gateway, server), PATIENCE, "another plugin server")
    wait_until(lambda: _answered_by_adapter(gateway), PATIENCE, "the plugin again")
    calls = [call[0] for call in _calls(gateway, "HandleEvent", "StartInstance", "CloseInstance")]
    assert calls[:3] == ["HandleEvent", "StartInstance", "HandleEvent"]


def test_every_worker_starts_an_instance_of_its_own(start: Start) -> None:
    gateway = start(workers=2)
    for _ in range(6):
        _ask(gateway)
    started = [_config(call) for call in _calls(gateway, "StartInstance")]
    assert [config["label"] for config in started] == ["first", "first"]
    assert len({config["__plugin_id"] for config in started}) == 1
    assert len({config["__seq__"] for config in started}) == 2
    used = [
        call[1]["InstanceId"] for call in _calls(gateway, "HandleEvent") if call[1]["EventName"] == "access"
    ]
    assert sorted(used.count(instance) for instance in set(used)) == [3, 3]


def test_a_changed_plugin_is_started_anew_and_its_former_instance_closed(
    start: Start, upstream: Upstream
) -> None:
    gateway = start(workers=1)
    assert _ask(gateway)[1]["X-Label"] == "first"
    gateway.load(_kong_yml(upstream, "second"))
    assert _ask(gateway)[1]["X-Label"] == "second"
    calls = _calls(gateway, "StartInstance", "CloseInstance")
    assert [call[0] for call in calls] == ["StartInstance", "StartInstance", "CloseInstance"]
    assert calls[2][1] == calls[0][2]["Id"]


def test_a_plugin_loaded_again_is_started_anew_though_nothing_has_changed(
    start: Start, upstream: Upstream
) -> None:
    gateway = start(workers=1)
    _ask(gateway)
    gateway.load(_kong_yml(upstream, "first"))
    _ask(gateway)
    calls = [call[0] for call in _calls(gateway, "StartInstance", "CloseInstance")]
    assert calls == ["StartInstance", "StartInstance", "CloseInstance"]


def test_a_plugin_that_is_gone_keeps_its_instance(start: Start, upstream: Upstream) -> None:
    gateway = start(workers=1)
    _ask(gateway)
    gateway.load(_kong_yml(upstream, None))
    assert _ask(gateway)[0] == 202
    assert [call[0] for call in _calls(gateway, "StartInstance", "CloseInstance")] == ["StartInstance"]


def test_the_steps_of_one_event_travel_over_several_connections(start: Start) -> None:
    gateway = start(workers=1)
    _ask(gateway)  # starts the instance, which both would wait for
    (server,) = gateway.plugin_servers
    before = len(gateway.messages())
    with gateway.connection() as one, gateway.connection() as other:
        for number, connection in enumerate((one, other), 1):
            connection.putrequest("POST", "/adapter")
            connection.putheader("X-Do", "read-body")
            connection.putheader("Content-Length", "2")
            connection.endheaders()
            # Until its body is there, a request has no call under way, and the next one has the connection.
            wait_until(lambda n=number: _bodies(gateway, before) == n, PATIENCE, "a body asked for")
        assert _connections(gateway) == 1
        # Both bodies are answered at a time when the plugin server is not: that takes a connection each.
        server.suspend()
        try:
            one.send(b"{}")
            other.send(b"{}")
            wait_until(lambda: _connections(gateway) == 2, PATIENCE, "two connections to the plugin server")
        finally:
            server.resume()
        assert [connection.getresponse().status for connection in (one, other)] == [200, 200]
    by_event: dict[Any, set[int]] = {}
    for step in (entry for entry in gateway.messages()[before:] if entry["message"][2] == "plugin.Step"):
        by_event.setdefault(step["message"][3][0]["EventId"], set()).add(step["connection"])
    assert 2 in map(len, by_event.values())
    # A request that is alone keeps to one: nginx's pool hands out the connection that was used last.
    before = len(gateway.messages())
    _ask(gateway)
    assert len({entry["connection"] for entry in gateway.messages()[before:] if entry["from"] == "kong"}) == 1


def _bodies(gateway: ReplayGateway, since: int) -> int:
    """How often the plugin has asked for a body."""
    return sum("kong.request.get_raw_body" in str(entry["message"]) for entry in gateway.messages()[since:])


def test_a_reload_starts_new_servers_and_lets_the_old_finish(start: Start, upstream: Upstream) -> None:
    gateway = start()
    (old,) = gateway.plugin_servers
    with _held(gateway, upstream) as answers:
        gateway.kong_yml.write_text(_kong_yml(upstream, "second"), encoding="utf-8")
        gateway.reload()
        assert len(gateway.plugin_servers) == 2
        assert _ask(gateway)[1]["X-Label"] == "second"
        assert not answers
    ((status, headers),) = answers
    assert status == 200
    assert headers["X-Label"] == "first"
    # Until it has been waited for, it is still among them.
    wait_until(lambda: old not in gateway.plugin_servers, PATIENCE, "the old server's end")
    assert len(gateway.plugin_servers) == 1
    assert _ask(gateway)[1]["X-Label"] == "second"


@pytest.fixture
def file(shared: ReplayGateway) -> Iterator[Path]:
    """The shared gateway's configuration file; it is put back."""
    before = shared.kong_yml.read_text(encoding="utf-8")
    yield shared.kong_yml
    shared.kong_yml.write_text(before, encoding="utf-8")


@pytest.mark.parametrize("kong_yml", ["services: 1", "no: [", None], ids=["invalid", "not YAML", "gone"])
def test_a_reload_of_what_is_not_valid_changes_nothing(
    shared: ReplayGateway, file: Path, kong_yml: str | None
) -> None:
    before = shared.plugin_servers
    if kong_yml is None:
        file.unlink()
    else:
        file.write_text(kong_yml, encoding="utf-8")
    assert "reload failed, the former configuration stays: " in shared.reload()
    assert shared.plugin_servers == before
    assert _ask(shared)[1]["X-Label"] == "first"


def test_a_reload_whose_plugin_server_does_not_start_changes_nothing(
    shared: ReplayGateway, file: Path
) -> None:
    before = shared.plugin_servers
    plugin = shared.prefix.parent / "plugin.py"
    code = plugin.read_text(encoding="utf-8")
    plugin.write_text("raise SystemExit('it does not start')\n", encoding="utf-8")
    file.write_text(file.read_text(encoding="utf-8").replace("first", "second"), encoding="utf-8")
    said = shared.reload()
    plugin.write_text(code, encoding="utf-8")
    assert re.search("reload failed, the former configuration stays: .* it does not start", said)
    assert shared.plugin_servers == before
    assert _ask(shared)[1]["X-Label"] == "first"


def test_connections_that_are_idle_end_with_a_reload(shared: ReplayGateway) -> None:
    with shared.connection() as idle:
        idle.request("GET", "/nothing-here")
        idle.getresponse().read()
        shared.reload()
        assert idle.sock.recv(1) == b""


def _others(gateway: ReplayGateway, former: psutil.Process) -> list[psutil.Process]:
    return [process for process in gateway.plugin_servers if process.pid != former.pid]


def _answered_by_adapter(gateway: ReplayGateway) -> bool:
    return _ask(gateway)[1].get("X-Answered-By") == "adapter"
