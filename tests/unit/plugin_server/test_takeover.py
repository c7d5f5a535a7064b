"""Two plugin servers and one socket path: who may take it, and what becomes of it when one of them dies.

As at `kong reload`: the old workers end, and their plugin server with them, often before the next one listens.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from kong_plugin_server.process_tree import is_nginx_master, nginx_master
from kong_plugin_server.rpc import encode

from .conftest import COMMAND, ROOT, PluginProcess, eventually
from .kong import Kong
from .rpc_client import PATIENCE, RpcError, Worker, asked

Serve = Callable[..., PluginProcess]


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


# Who may take the path


def test_a_server_that_is_asked_to_stop_serves_on_until_the_next_one_does(
    kong: Kong, socket_of: PluginProcess
) -> None:
    old = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(old.pid))
    old.terminate()
    worker, instance = socket_of.start("calls")
    assert worker.begin(instance)
    assert socket_of.is_served_by(old.pid)
    new = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(new.pid), kong.log)
    worker.close()
    eventually(lambda: ended(old), "the old server ends")
    assert socket_of.is_served_by(new.pid)


@pytest.mark.parametrize("in_background", [True, False])
def test_the_server_of_a_worker_that_is_gone_is_known_as_that_of_the_same_kong(
    start_kong: Callable[..., Kong], socket_of: PluginProcess, in_background: bool
) -> None:
    kong = start_kong(in_background=in_background)
    old = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(old.pid))
    new = kong.reload()
    eventually(lambda: socket_of.is_served_by(new.pid), kong.log)
    eventually(lambda: ended(old), "the old server ends")


def test_a_server_that_hangs_is_replaced_by_a_reload(
    start_kong: Callable[..., Kong], socket_of: PluginProcess
) -> None:
    kong = start_kong(in_background=True)
    old = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(old.pid))
    old.suspend()
    try:
        new = kong.reload()
        eventually(lambda: kong.log.count("serves at") == 2)
        assert socket_of.is_served_by(new.pid)
    finally:
        old.kill()


def test_a_server_of_another_kong_is_left_alone(
    kong: Kong, start_kong: Callable[..., Kong], socket_of: PluginProcess
) -> None:
    old = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(old.pid))
    before = os.lstat(socket_of.path)
    other = start_kong()
    newcomer = other.start_worker()
    eventually(lambda: ended(newcomer))
    (line,) = other.log.splitlines()
    assert line.startswith(f"scripted: cannot listen on {socket_of.path}: process {old.pid} listens there")
    assert os.lstat(socket_of.path).st_ino == before.st_ino
    assert socket_of.is_served_by(old.pid)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_server_that_is_typed_beside_a_kong_ends_with_one_line_and_status_one(
    kong: Kong, launch: Serve, socket_of: PluginProcess, hangs: bool
) -> None:
    old = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(old.pid))
    if hangs:
        old.suspend()
    try:
        typed = launch()
        assert typed.process.wait(PATIENCE) == 1
    finally:
        old.resume()
    (line,) = typed.log.splitlines()
    assert "was not started by the same Kong" in line
    assert "--take-over" in line
    assert socket_of.is_served_by(old.pid)


@pytest.mark.parametrize(
    "namespace", [("--pid",), ("--pid", "--user", "--map-root-user")], ids=["root", "user"]
)
def test_process_ids_of_another_namespace_prove_nothing(
    serve: Serve, prefix: Path, namespace: tuple[str, ...]
) -> None:
    """As in two containers that share Kong's prefix: there the same numbers are other processes."""
    unshare = ("unshare", *namespace, "--fork", "--kill-child")
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("no PID namespace is to be had here")
    old = serve()
    new = subprocess.run(
        [*unshare, *COMMAND, "-p", str(prefix)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert new.returncode == 1
    assert "another process listens there" in new.stdout + new.stderr
    assert old.is_served_by(old.process.pid)


def test_the_place_of_any_server_is_taken_on_demand(
    kong: Kong, serve: Serve, socket_of: PluginProcess
) -> None:
    old = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(old.pid))
    typed = serve("--take-over")
    assert socket_of.is_served_by(typed.process.pid)


def test_a_listener_that_speaks_another_protocol_is_left_alone(prefix: Path, launch: Serve) -> None:
    path = str(prefix / "scripted.socket")
    with subprocess.Popen(
        [sys.executable, "-c", LISTENS_AND_CLOSES, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as stranger:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        before = os.lstat(path).st_ino
        # Of another parent than the stranger's.
        typed = subprocess.run(
            ["bash", "-c", '"$@"; exit $?', "bash", *COMMAND, "-p", str(prefix)],
            cwd=ROOT,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert typed.returncode == 1
        assert os.lstat(path).st_ino == before
        stranger.kill()


LISTENS_AND_CLOSES = """
import socket, sys
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    print(flush=True)
    while True:
        listener.accept()[0].close()
"""


def test_a_server_that_kong_starts_finds_the_prefix_in_the_title_of_nginx(
    start_kong: Callable[..., Kong], socket_of: PluginProcess
) -> None:
    server = start_kong(command=COMMAND).start_worker()
    eventually(lambda: socket_of.is_served_by(server.pid))


def test_a_server_that_nobody_tells_a_prefix_binds_nothing(prefix: Path) -> None:
    (prefix / ".kong_env").touch()
    result = subprocess.run(
        [sys.executable, "-m", "yeastar_adapter"],
        cwd=prefix,
        env={"PWD": str(prefix)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == 1
    (line,) = (result.stdout + result.stderr).splitlines()
    assert line.startswith("yeastar-adapter: no prefix: ")
    assert "-p PREFIX" in line
    assert [path.name for path in prefix.iterdir()] == [".kong_env"]


def test_the_master_is_found_among_the_ancestors(kong: Kong) -> None:
    assert nginx_master(kong.start_worker().pid) == kong.process.pid
    assert is_nginx_master(kong.process.pid)
    assert nginx_master(os.getpid()) is None
    assert not is_nginx_master(os.getpid())


# The end of a server


def test_a_server_that_is_asked_twice_stops_at_once(kong: Kong, socket_of: PluginProcess) -> None:
    server = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(server.pid))
    server.terminate()
    eventually(lambda: "stop requested" in kong.log)
    server.terminate()
    eventually(lambda: ended(server))


def test_a_server_ends_with_its_kong(kong: Kong, socket_of: PluginProcess) -> None:
    server = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(server.pid))
    kong.end()
    eventually(lambda: ended(server))
    assert not os.path.exists(socket_of.path)


# A path that was lost


def test_a_server_whose_socket_is_removed_listens_again_and_says_so(server: PluginProcess) -> None:
    worker, instance = server.start("calls")
    os.unlink(server.path)
    server.wait_for_log(f"the socket {server.path} was gone: listening again")
    assert server.is_served_by(server.process.pid)
    assert worker.begin(instance)


def test_a_server_behind_whose_path_nobody_listens_listens_again(server: PluginProcess, prefix: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(prefix / "stale"))
    os.rename(prefix / "stale", server.path)
    server.wait_for_log("listening again")
    assert server.is_served_by(server.process.pid)


def test_a_file_in_the_place_of_the_socket_is_left_alone_and_said_once(
    server: PluginProcess, prefix: Path
) -> None:
    worker = server.worker()
    (prefix / "precious").write_text("x")
    os.rename(prefix / "precious", server.path)
    server.wait_for_log("not a socket; retrying")
    assert Path(server.path).read_text() == "x"
    assert worker.call("plugin.GetStatus")["Pid"] == server.process.pid
    os.unlink(server.path)
    server.wait_for_log("listening again")
    assert server.is_served_by(server.process.pid)
    assert server.log.count("not a socket") == 1


# Death in the middle


def test_a_server_that_is_killed_at_any_step_of_the_takeover_leaves_a_socket_that_answers(
    server: PluginProcess, launch: Serve
) -> None:
    pid = server.process.pid
    for step in itertools.count(1):
        new = launch(environment={"TEST_SIGNAL_AT": f"{step}:{signal.SIGKILL:d}"})
        eventually(lambda new=new: new.process.poll() is not None or "serves at" in new.log)  # type: ignore[misc]
        if new.process.poll() is None:
            break
        assert new.process.wait(PATIENCE) == -signal.SIGKILL
        eventually(lambda: server.is_served_by(pid), f"nobody answers after step {step}")
    assert step > 6
    assert server.is_served_by(new.process.pid)
    eventually(lambda: not [path for path in server.prefix.iterdir() if path.name.endswith(".new")])


def test_a_server_that_dies_before_it_has_answered_is_not_relied_on(
    kong: Kong, launch: Serve, socket_of: PluginProcess
) -> None:
    """The new server hangs when it has the path; the old one, asked to stop, must not end before it is relieved."""
    old = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(old.pid))
    before = os.lstat(socket_of.path).st_ino
    # What a server does with its prefix right after it has taken the path.
    new = launch("--take-over", environment={"TEST_SIGNAL_AT": f"os.listdir:{signal.SIGSTOP:d}"})
    eventually(lambda: os.lstat(socket_of.path).st_ino != before)
    kong.retire_worker()
    eventually(lambda: "serving until the next server listens" in kong.log)
    new.process.kill()
    eventually(lambda: socket_of.is_served_by(old.pid))


def test_a_signal_in_the_middle_of_the_takeover_is_handled_after_it(prefix: Path, launch: Serve) -> None:
    for step in range(1, 7):
        server = launch(environment={"TEST_SIGNAL_AT": f"{step}:{signal.SIGTERM:d}"})
        assert server.process.wait(PATIENCE) == 0, server.log
        assert "stopped" in server.log
        assert [path.name for path in prefix.iterdir() if not path.name.startswith("log")] == []


def test_the_old_server_takes_the_path_back_when_the_new_one_dies(
    server: PluginProcess, launch: Serve
) -> None:
    new = launch()
    new.wait_for_log("serves at")
    server.wait_for_log("another server listens at the socket's path now")
    new.process.kill()
    server.wait_for_log("listening again")
    assert server.is_served_by(server.process.pid)


# Connections


def served_by(connection: Worker) -> int:
    """The process that answers on it."""
    return int(connection.call("plugin.GetStatus")["Pid"])


def is_handed_over(connection: Worker, new: PluginProcess) -> bool:
    return served_by(connection) == new.process.pid


def test_connections_that_never_rest_are_handed_over_to_the_new_server(
    server: PluginProcess, launch: Serve
) -> None:
    """Kong's pool takes the connection that was used last: with enough traffic one is never idle for long."""
    connections = [server.worker() for _ in range(200)]
    new = launch()
    # All are asked each time: none rests.
    eventually(lambda: {served_by(connection) for connection in connections} == {new.process.pid})
    server.process.kill()
    server.process.wait()
    assert all(is_handed_over(connection, new) for connection in connections)
    assert new.is_served_by(new.process.pid)


def test_a_connection_is_handed_over_with_the_request_that_is_on_its_way(
    server: PluginProcess, launch: Serve
) -> None:
    connections = [server.worker() for _ in range(20)]
    for connection in connections:
        connection.call("plugin.GetStatus")
    os.kill(server.process.pid, signal.SIGSTOP)
    new = launch()
    new.wait_for_log("serves at")
    sent = [connection.send("plugin.GetStatus") for connection in connections]
    os.kill(server.process.pid, signal.SIGCONT)
    for connection, message in zip(connections, sent, strict=True):
        assert connection.answer_to(message)["Pid"] in (server.process.pid, new.process.pid)
        eventually(lambda connection=connection: is_handed_over(connection, new))  # type: ignore[misc]


def test_a_connection_with_half_a_message_is_handed_over_after_the_other_half(
    server: PluginProcess, launch: Serve
) -> None:
    connection, other = server.worker(), server.worker()
    connection.call("plugin.GetStatus")
    request = encode([0, 100, "plugin.GetStatus", []])
    connection.send_bytes(request[:5])
    new = launch()
    eventually(lambda: is_handed_over(other, new))
    connection.send_bytes(request[5:])
    assert connection.answer_to(100)["Pid"] == server.process.pid
    eventually(lambda: is_handed_over(connection, new))


def test_an_answer_that_is_due_comes_before_its_connection_is_handed_over(
    server: PluginProcess, launch: Serve
) -> None:
    connection, instance = server.start("reads then waits shortly", seconds=2.5)
    first = connection.begin(instance)
    due = connection.send("plugin.Step", {"EventId": first["EventId"], "Data": "x"})
    other = server.worker()
    new = launch()
    eventually(lambda: is_handed_over(other, new))
    assert asked(connection.answer_to(due))[1] == [200, "slow"]
    eventually(lambda: is_handed_over(connection, new))


def test_an_event_goes_on_at_the_old_server_when_its_connection_is_handed_over(
    serve: Serve, launch: Serve
) -> None:
    """However long Kong takes for the call: nobody has closed the connection."""
    old = serve(closed_connection_timeout=0.0)
    connection, instance = old.start("calls")
    first = connection.begin(instance)
    new = launch()
    eventually(lambda: is_handed_over(connection, new))
    sweeps = old.worker()
    eventually(lambda: is_handed_over(sweeps, new))
    last = connection.step(connection.step(first, "A"), b"B")
    assert asked(last)[1] == [200, "A", {"b": b"B"}]


def test_a_server_between_two_others_ends_after_the_one_before_it(
    in_use: tuple[Worker, Any, list[PluginProcess]],
) -> None:
    """As after two reloads in a row: what the newest is asked about the oldest goes through it."""
    _, first, (old, between, new) = in_use
    between.process.terminate()
    between.wait_for_log("stopping: ")
    with pytest.raises(subprocess.TimeoutExpired):
        between.process.wait(0.5)
    newcomer = new.worker()
    last = newcomer.step(newcomer.step(first, "A"), b"B")
    assert asked(last)[1] == [200, "A", {"b": b"B"}]
    old.process.terminate()
    assert old.process.wait(PATIENCE) == 0
    assert between.process.wait(PATIENCE) == 0


def test_a_server_that_takes_no_connections_is_given_none(serve: Serve, prefix: Path) -> None:
    """One of an earlier version, which would lose them."""
    old = serve(handler_timeout=1.2)
    idle = old.worker()
    busy, instance = old.start("waits")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(prefix / "earlier"))
        listener.listen()
        os.rename(prefix / "earlier", old.path)
        other, _ = listener.accept()
        with other:
            other.send(encode([1, 0, None, {"Pid": 1, "Gateway": 1}]))
            old.wait_for_log("another server listens at the socket's path now")
            # It is ended by a tick, and there was one before.
            assert asked(busy.begin(instance))[1][0] == 500
            assert served_by(idle) == old.process.pid
            assert served_by(busy) == old.process.pid


# The worker that reads what the server writes


def test_a_worker_that_ends_waits_for_its_server_until_the_new_one_has_everything(
    kong: Kong, socket_of: PluginProcess
) -> None:
    old = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(old.pid))
    pooled, instance = socket_of.start("calls")
    kong.quit_worker()
    first = pooled.begin(instance)
    new = kong.start_worker()
    eventually(lambda: served_by(pooled) == new.pid)
    assert not ended(old)
    assert "the worker ends" not in kong.log
    last = pooled.step(pooled.step(first, "A"), b"B")
    assert asked(last)[1] == [200, "A", {"b": b"B"}]
    eventually(lambda: "the worker ends: its server's output is closed" in kong.log, kong.log)
    eventually(lambda: ended(old))
    assert served_by(pooled) == new.pid


def test_a_worker_that_ends_waits_while_no_other_server_is_there(
    kong: Kong, socket_of: PluginProcess
) -> None:
    """The new one does not come up: the old one serves on."""
    old = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(old.pid))
    kong.start_worker_without_server()
    kong.quit_worker()
    eventually(lambda: kong.log.count("the worker waits") > 3, kong.log)
    assert socket_of.is_served_by(old.pid)


def test_a_worker_that_ends_waits_no_longer_than_the_new_server_may_take(
    start_kong: Callable[..., Kong], socket_of: PluginProcess
) -> None:
    kong = start_kong(takeover_timeout=0.0)
    old = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(old.pid))
    kong.start_worker_without_server()
    kong.quit_worker()
    eventually(lambda: "the worker ends: its server's output is closed" in kong.log, kong.log)


def test_the_last_worker_of_a_kong_that_stops_does_not_wait(kong: Kong, socket_of: PluginProcess) -> None:
    old = kong.start_worker()
    eventually(lambda: socket_of.is_served_by(old.pid))
    kong.quit_worker()
    eventually(lambda: "the worker ends: its server's output is closed" in kong.log, kong.log)
    eventually(lambda: ended(old))


def test_a_server_without_kong_writes_nothing_but_its_log(server: PluginProcess) -> None:
    server.worker().call("plugin.GetStatus")
    os.unlink(server.path)
    server.wait_for_log("listening again")
    assert all(line.split()[0] in ("INFO", "WARNING") for line in server.log.splitlines())


@pytest.fixture
def in_use(server: PluginProcess, launch: Serve) -> tuple[Worker, Any, list[PluginProcess]]:
    """A connection that is left from before two takeovers, its first event, and the servers: the oldest serves it."""
    worker, instance = server.start("calls")
    first = worker.begin(instance)
    servers = [server]
    for _ in range(2):
        new = launch()
        new.wait_for_log("serves at")
        servers[-1].wait_for_log("another server listens at the socket's path now")
        servers.append(new)
    return worker, first, servers


def test_what_begins_on_a_connection_from_before_begins_at_the_new_server(
    in_use: tuple[Worker, Any, list[PluginProcess]],
) -> None:
    worker, first, (old, _, new) = in_use
    instance = worker.start({"access": "calls", "journal": os.devnull})
    for steps in (worker, new.worker()):
        answer = worker.begin(instance)
        assert asked(steps.step(steps.step(answer, "A"), b"B"))[1] == [200, "A", {"b": b"B"}]
    assert new.worker().begin(instance)
    assert [server.log.count("instance #") for server in (old, new)] == [1, 1]
    last = worker.step(worker.step(first, "A"), "B")
    assert asked(last)[1] == [200, "A", {"b": "B"}]


def test_what_no_server_knows_is_an_error_wherever_it_comes(
    in_use: tuple[Worker, Any, list[PluginProcess]],
) -> None:
    worker, _, (_, _, new) = in_use
    for connection in (worker, new.worker()):
        with pytest.raises(RpcError, match="event id 7 not found"):
            connection.step({"EventId": 7})
        with pytest.raises(RpcError, match="no plugin instance #7"):
            connection.begin(7)


def test_a_worker_starts_its_instance_on_one_server_only_after_a_takeover(
    server: PluginProcess, launch: Serve
) -> None:
    pooled, _ = server.start("calls")
    new = launch()
    eventually(lambda: is_handed_over(pooled, new))
    worker, instance = server.start("calls")
    for _ in range(5):
        answer: Any = worker.begin(instance)
        assert asked(worker.step(worker.step(answer, "A"), "B"))[1][0] == 200
    assert len(new.status()["Plugins"]["scripted"]["Instances"]) == 1
    assert new.log.count("instance #") == 1
    assert server.log.count("instance #") == 1
