"""From the socket's appearance to the end of the process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import COMMAND, ROOT, PluginProcess, eventually
from .rpc_client import PATIENCE, ConnectionClosed, RpcError, Worker, asked

Serve = Callable[..., PluginProcess]


def test_sigterm_lets_running_events_finish_and_ends_with_status_zero(server: PluginProcess) -> None:
    worker, instance = server.start("calls")
    first = worker.begin(instance)
    idle = server.worker()
    server.process.terminate()
    server.wait_for_log("stopping: 1 events open")
    eventually(lambda: not server.is_listening())
    last = worker.step(worker.step(first, "A"), "B")
    assert asked(last)[1] == [200, "A", {"b": "B"}]
    assert server.process.wait(PATIENCE) == 0
    assert not os.path.exists(server.path)
    with pytest.raises(ConnectionClosed):
        idle.receive()
    assert server.notes() == ["unwound", "closed"]


def test_sigterm_does_not_wait_for_ever(serve: Serve) -> None:
    server = serve(graceful_shutdown_timeout=0.3)
    worker, instance = server.start("waits")
    running = worker.send("plugin.HandleEvent", {"InstanceId": instance, "EventName": "access"})
    other, waiting = server.start("calls")
    other.begin(waiting)
    server.process.terminate()
    assert asked(worker.answer_to(running))[1][0] == 500
    assert server.process.wait(PATIENCE) == 0
    assert server.notes().count("unwound") == 2


def test_a_second_sigterm_ends_at_once(server: PluginProcess) -> None:
    worker, instance = server.start("waits")
    worker.send("plugin.HandleEvent", {"InstanceId": instance, "EventName": "access"})
    eventually(lambda: server.status()["Pid"])
    server.process.terminate()
    server.wait_for_log("stopping: 1 events open")
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(PATIENCE) == 0


def test_a_second_server_takes_the_path_over_and_the_first_serves_its_connections(
    server: PluginProcess, launch: Serve
) -> None:
    worker, instance = server.start("calls")
    first = worker.begin(instance)
    new = launch()
    new.wait_for_log("serves at")
    assert new.status()["Pid"] == new.process.pid
    last = worker.step(worker.step(first, "A"), "B")
    assert asked(last)[1] == [200, "A", {"b": "B"}]
    assert asked(worker.begin(instance)) == ("kong.request.get_header", ["a"])
    server.process.terminate()
    worker.close()
    assert new.status()["Pid"] == new.process.pid
    server.process.wait(PATIENCE)
    assert new.status()["Pid"] == new.process.pid


def test_a_step_that_reaches_the_second_server_is_sent_on_to_the_first(
    server: PluginProcess, launch: Serve
) -> None:
    worker, instance = server.start("calls")
    first = worker.begin(instance)
    second = server
    for _ in range(2):
        second = launch()
        second.wait_for_log("serves at")
    newcomer = second.worker()
    last = newcomer.step(newcomer.step(first, "A"), b"B")
    assert asked(last)[1] == [200, "A", {"b": b"B"}]
    with pytest.raises(RpcError, match="not found"):
        newcomer.step(last)
    assert newcomer.call("plugin.GetStatus")["Pid"] == second.process.pid


def test_steps_that_are_sent_on_do_not_wait_for_each_other(server: PluginProcess, launch: Serve) -> None:
    worker, slow = server.start("reads then waits shortly", seconds=1.7)
    quick = worker.start({"access": "calls", "journal": str(server.journal)})
    slow_first, quick_first = worker.begin(slow), worker.begin(quick)
    launch().wait_for_log("serves at")
    one, other = server.worker(), server.worker()
    message = one.send("plugin.Step", {"EventId": slow_first["EventId"], "Data": "x"})
    last = other.step(other.step(quick_first, "A"), "B")
    assert asked(last)[1] == [200, "A", {"b": "B"}]
    assert asked(one.answer_to(message))[1] == [200, "slow"]


def test_a_step_for_a_server_that_is_gone_is_an_error(server: PluginProcess, launch: Serve) -> None:
    worker, waits = server.start("reads then waits shortly", seconds=3600)
    first = worker.begin(waits)
    launch().wait_for_log("serves at")
    newcomer = server.worker()
    message = newcomer.send("plugin.Step", {"EventId": first["EventId"], "Data": "x"})
    server.wait_for_note("waiting")
    server.process.kill()
    with pytest.raises(RpcError, match="gone"):
        newcomer.answer_to(message)
    with pytest.raises(RpcError, match="not found"):
        newcomer.step(first)


def test_no_request_is_lost_while_servers_replace_each_other(server: PluginProcess, launch: Serve) -> None:
    """As after `kong reload`: each request on a new connection, starting its instance again when it is unknown."""
    outcomes: list[object] = []
    done = threading.Event()

    def traffic() -> None:
        instance = -1
        while not done.is_set():
            try:
                with Worker(server.path) as worker:
                    try:
                        first = worker.begin(instance)
                    except RpcError:
                        instance = worker.start({"access": "calls", "journal": os.devnull})
                        first = worker.begin(instance)
                    outcomes.append(asked(worker.step(worker.step(first, "A"), "B"))[1][1])
            except Exception as error:  # noqa: BLE001, PERF203 - each is a request lost
                outcomes.append(error)

    threads = [threading.Thread(target=traffic) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        old = server
        for _ in range(3):
            seen = len(outcomes)
            new = launch()
            new.wait_for_log("serves at")
            old.process.terminate()
            old.process.wait(PATIENCE)
            eventually(lambda seen=seen: len(outcomes) > seen + 50)
            old = new
    finally:
        done.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert set(map(str, outcomes)) == {"A"}


def test_a_stale_socket_is_replaced(prefix: Path, launch: Serve) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(prefix / "scripted.socket"))
    server = launch()
    server.wait_for_log("serves at")
    assert server.status()["Pid"] == server.process.pid


def test_only_user_and_group_can_connect_whatever_the_umask(prefix: Path, launch: Serve) -> None:
    before = os.umask(0)
    try:
        server = launch()
    finally:
        os.umask(before)
    server.wait_for_log("serves at")
    assert os.stat(server.path).st_mode & 0o777 == 0o770


def test_nothing_but_the_socket_is_left_in_the_prefix(server: PluginProcess) -> None:
    names = {path.name for path in server.prefix.iterdir()}
    assert names == {"scripted.socket", "log-0"}


def _prefix_that_is_missing(prefix: Path) -> str:
    return str(prefix / "missing")


def _name_that_is_a_file(prefix: Path) -> str:
    (prefix / "scripted.socket").write_text("something of somebody's")
    return str(prefix)


def _name_that_is_a_directory(prefix: Path) -> str:
    (prefix / "scripted.socket").mkdir()
    return str(prefix)


def _path_that_is_too_long(prefix: Path) -> str:
    deep = prefix / ("x" * 120)
    deep.mkdir()
    return str(deep)


@pytest.mark.parametrize(
    "make", [_prefix_that_is_missing, _name_that_is_a_file, _name_that_is_a_directory, _path_that_is_too_long]
)
def test_a_path_that_cannot_be_had_is_one_clear_line(prefix: Path, make: Callable[[Path], str]) -> None:
    result = subprocess.run(
        [*COMMAND, "-p", make(prefix)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == 1
    (line,) = (result.stdout + result.stderr).splitlines()
    assert line.startswith("scripted: cannot listen on ")


def test_a_file_in_the_way_is_not_removed(prefix: Path, launch: Serve) -> None:
    _name_that_is_a_file(prefix)
    assert launch().process.wait(PATIENCE) == 1
    assert (prefix / "scripted.socket").read_text() == "something of somebody's"


def test_it_ends_when_the_process_that_started_it_is_gone(prefix: Path) -> None:
    """Kong's worker: `exec` replaces the shell that nginx starts."""
    log = prefix / "log"
    script = (
        "import subprocess, sys; "
        "server = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=open(sys.argv[1], 'wb'), "
        "stderr=subprocess.STDOUT); print(server.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(log), *COMMAND, "-p", str(prefix)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        try:
            eventually(lambda: log.exists() and "serves at" in log.read_text())
            parent.kill()
            parent.wait()
            eventually(lambda: "stopped" in log.read_text(), "it did not end")
            eventually(lambda: not (prefix / "scripted.socket").exists())
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_standard_output_that_nobody_reads_holds_up_nothing(prefix: Path) -> None:
    reading, writing = os.pipe()
    with subprocess.Popen(
        [*COMMAND, "-p", str(prefix), "-v"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=writing,
    ) as process:
        os.close(writing)
        try:
            path = str(prefix / "scripted.socket")
            eventually(lambda: os.path.exists(path))
            with Worker(path) as worker:
                instance = worker.start({"access": "prints"})
                for _ in range(3):
                    assert asked(worker.begin(instance))[1] == [200, "printed"]
                os.close(reading)
                assert asked(worker.begin(instance))[1] == [200, "printed"]
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()


def test_closed_standard_streams_do_not_send_the_log_into_a_connection(prefix: Path) -> None:
    with subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *COMMAND, "-p", str(prefix), "-v"], cwd=ROOT
    ) as process:
        try:
            path = str(prefix / "scripted.socket")
            eventually(lambda: os.path.exists(path))
            with Worker(path) as worker:
                instance = worker.start({"access": "raises first"})
                for _ in range(10):
                    assert asked(worker.begin(instance))[1][0] == 500
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0


def test_the_dump_is_what_kong_pdk_would_print() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "yeastar_adapter", "-dump"],
        cwd="/",
        env={},
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    (described,) = json.loads(result.stdout)
    assert list(described) == ["Name", "Phases", "Priority", "Version", "Schema"]
    assert described["Name"] == "yeastar-adapter"
    assert described["Schema"]["name"] == "yeastar-adapter"
    (config,) = described["Schema"]["fields"]
    assert config["config"]["type"] == "record"
