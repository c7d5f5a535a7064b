"""What becomes of requests while Redis is away, and when it is back."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import pytest
import redis as redis_py

from tests.harness.link import Link
from tests.harness.redis import RedisServer
from tests.limits.conftest import Node, back, passed, until

TIMEOUT_MS = 1500


@contextmanager
def killed(redis: RedisServer) -> Iterator[None]:
    redis.kill()
    yield
    redis.start()


@contextmanager
def hanging(redis: RedisServer) -> Iterator[None]:
    redis.pause()
    yield
    redis.resume()


@contextmanager
def out_of_memory(redis: RedisServer) -> Iterator[None]:
    with redis.client() as client:
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)


@contextmanager
def read_only(redis: RedisServer) -> Iterator[None]:
    with redis.client() as client:
        client.replicaof("127.0.0.1", 1)
        yield
        client.replicaof("NO", "ONE")


@contextmanager
def password_changed(redis: RedisServer) -> Iterator[None]:
    with redis.client() as client:
        client.config_set("requirepass", "another")
        client.client_kill_filter(skipme=True, _type="normal")
        yield
        client.config_set("requirepass", "")


@contextmanager
def busy(redis: RedisServer) -> Iterator[None]:
    """Answers everything with an error, as a server does that is loading its data or running another's script."""
    with redis.client() as client, redis.client() as other:
        client.config_set("lua-time-limit", 1)
        endless = threading.Thread(target=_run_endless_script, args=[other])
        endless.start()
        until(lambda: _is_busy(client))
        yield
        client.script_kill()
        endless.join()


def _run_endless_script(client: redis_py.Redis) -> None:
    with contextlib.suppress(redis_py.ResponseError):
        client.eval("while true do end", 0)


def _is_busy(client: redis_py.Redis) -> bool:
    try:
        client.ping()
    except redis_py.ResponseError as error:
        return "BUSY" in str(error)
    return False


FAULTS = [killed, hanging, out_of_memory, read_only, password_changed, busy]


@pytest.fixture
def tolerant(redis: RedisServer, start_node: Callable[..., Node]) -> Node:
    return start_node({**redis.settings(), "timeout_ms": TIMEOUT_MS})


@pytest.fixture
def strict(redis: RedisServer, start_node: Callable[..., Node]) -> Node:
    return start_node({**redis.settings(), "timeout_ms": TIMEOUT_MS}, fault_tolerant=False)


@pytest.mark.parametrize("fault", FAULTS)
def test_while_redis_is_away_requests_are_counted_locally(
    fault: Callable[[RedisServer], AbstractContextManager[None]], redis: RedisServer, tolerant: Node
) -> None:
    assert passed(tolerant.admit(times=2, minute=5)) == 2
    with fault(redis):
        results = tolerant.admit(times=10, minute=5)
        counters = tolerant.counters()
        assert counters["redis_away"]
        assert counters["fallbacks"] == 10
        assert passed(results) == 5
    until(lambda: back(tolerant))
    with redis.client() as client:
        client.flushall()
    assert passed(tolerant.admit(times=10, minute=5)) == 5
    assert tolerant.counters()["fallbacks"] == 10


@pytest.mark.parametrize("fault", FAULTS)
def test_or_refused_if_that_is_what_was_asked_for(
    fault: Callable[[RedisServer], AbstractContextManager[None]], redis: RedisServer, strict: Node
) -> None:
    strict.admit(minute=5)
    with fault(redis):
        assert strict.admit(times=10, minute=5) == [None] * 10
        assert strict.admit(times=10, minute=5) == [None] * 10
    until(lambda: back(strict))
    assert passed(strict.admit(minute=5)) == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_every_change_of_state_is_one_line_in_the_log(
    fault: Callable[[RedisServer], AbstractContextManager[None]], redis: RedisServer, tolerant: Node
) -> None:
    for change in (1, 2):
        tolerant.admit(minute=1000)
        with fault(redis):
            tolerant.admit(times=50, minute=1000)
            tolerant.admit(times=50, minute=1000, at_once=False)
            assert tolerant.log().count(" is unavailable (") == change
        until(lambda: back(tolerant))
        assert tolerant.log().count(" is back after ") == change
    assert len(tolerant.log().splitlines()) == 4


def test_few_requests_wait_for_a_server_that_hangs(redis: RedisServer, tolerant: Node) -> None:
    tolerant.admit(minute=1000)
    redis.pause()
    assert passed(tolerant.admit(times=1000, minute=1000, at_once=False)) == 1000
    counters = tolerant.counters()
    assert counters["redis_failures"] == 1
    assert counters["fallbacks"] == 1000
    redis.resume()


def test_nobody_waits_longer_because_others_wait(redis: RedisServer, tolerant: Node) -> None:
    tolerant.admit(minute=1000)
    redis.pause()
    assert passed(tolerant.admit(times=500, minute=1000)) == 500
    assert tolerant.counters()["redis_failures"] <= 500
    assert tolerant.log().count("\n") == 1
    redis.resume()


def test_a_redis_that_is_away_from_the_beginning_is_used_when_it_comes(
    redis: RedisServer, start_node: Callable[..., Node]
) -> None:
    redis.kill()
    node = start_node(redis.settings())
    assert passed(node.admit(times=10, minute=5)) == 5
    redis.start()
    until(lambda: back(node))
    assert passed(node.admit(times=10, minute=5)) == 5
    with redis.client() as client:
        assert client.exists("yeastar-adapter:2:{acme}")


def test_the_time_out_bounds_connecting_authenticating_and_asking_together(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    redis = start_redis(password="secret")
    with Link(redis.port) as link:
        # Each of the round trips stays below the time-out; AUTH, SELECT and the script together do not.
        link.delay_seconds = 0.6 * TIMEOUT_MS / 1000
        settings = {**redis.settings(), "port": link.port, "database": 1, "timeout_ms": TIMEOUT_MS}
        node = start_node(settings, fault_tolerant=False)
        assert node.admit(minute=5) == [None]
        link.delay_seconds = 0
        until(lambda: back(node))
        assert passed(node.admit(minute=5)) == 1


def test_a_server_that_takes_no_connections_is_given_up_too(start_node: Callable[..., Node]) -> None:
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        node = start_node(
            {"host": "127.0.0.1", "port": deaf.getsockname()[1], "timeout_ms": TIMEOUT_MS},
            fault_tolerant=False,
        )
        assert node.admit(times=20, minute=5) == [None] * 20


def test_something_that_is_not_redis_counts_as_away(start_node: Callable[..., Node], stub: Any) -> None:
    port = int(stub.url.rsplit(":", 1)[1])
    node = start_node({"host": "127.0.0.1", "port": port, "timeout_ms": TIMEOUT_MS})
    assert passed(node.admit(times=10, minute=5)) == 5
    assert node.log().count(" is unavailable (") == 1


def test_a_name_that_does_not_resolve_counts_as_away(start_node: Callable[..., Node]) -> None:
    node = start_node({"host": "redis.invalid", "timeout_ms": TIMEOUT_MS})
    assert passed(node.admit(times=10, minute=5)) == 5


def test_a_connection_that_breaks_in_the_middle_is_made_again(
    redis: RedisServer, start_node: Callable[..., Node]
) -> None:
    with Link(redis.port) as link:
        node = start_node({**redis.settings(), "port": link.port})
        node.admit(minute=100)
        link.hold()
        connections = link.connections
        node.begin_admitting("acme", 20, minute=100)
        link.cut()
        link.release()
        assert passed(node.end()) == 20
        assert link.connections > connections
        assert back(node)


def test_another_server_at_the_same_address_is_found(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    was_master, is_master = start_redis(), start_redis()
    with Link(was_master.port) as link:
        node = start_node({**was_master.settings(), "port": link.port})
        assert passed(node.admit(times=6, minute=5)) == 5
        link.target_port = is_master.port
        with read_only(was_master):
            node.admit("globex", minute=5)
            until(lambda: back(node))
            assert passed(node.admit(times=6, minute=5)) == 5


def test_a_redis_that_answered_while_the_process_was_busy_is_not_away(
    redis: RedisServer, start_node: Callable[..., Node]
) -> None:
    with Link(redis.port) as link:
        node = start_node({**redis.settings(), "port": link.port, "timeout_ms": TIMEOUT_MS})
        node.admit(minute=100)
        link.delay_seconds = 0.1
        assert passed(node.admit(times=20, minute=100, busy_seconds=2 * TIMEOUT_MS / 1000)) == 20
        assert node.counters()["redis_failures"] == 0


def test_an_idle_connection_that_was_dropped_in_silence_is_made_again_and_nobody_notices(
    redis: RedisServer, start_node: Callable[..., Node]
) -> None:
    with Link(redis.port) as link:
        settings = {**redis.settings(), "port": link.port, "timeout_ms": TIMEOUT_MS}
        node = start_node(settings, fault_tolerant=False)
        assert passed(node.admit(times=2, minute=5)) == 2
        for connections in (2, 3):
            link.forget()
            node.idle(seconds=60)
            assert passed(node.admit(minute=5)) == 1
            assert link.connections == connections
        assert passed(node.admit(times=10, minute=5)) == 1
        counters = node.counters()
    assert (counters["redis_failures"], counters["redis_losses"]) == (0, 0)
    assert "away" not in node.log()


def test_an_idle_connection_that_is_well_is_used_again(
    redis: RedisServer, start_node: Callable[..., Node]
) -> None:
    with Link(redis.port) as link:
        node = start_node({**redis.settings(), "port": link.port})
        for _ in range(5):
            node.admit(minute=5)
            node.idle(seconds=60)
        assert link.connections == 1


@pytest.mark.parametrize(("kill", "left"), [("first", 19), ("exchange", 20)])
def test_a_greenlet_that_is_killed_while_redis_is_asked_holds_up_nobody(
    redis: RedisServer, start_node: Callable[..., Node], kill: str, left: int
) -> None:
    with Link(redis.port) as link:
        node = start_node({**redis.settings(), "port": link.port})
        node.admit(minute=100)
        link.delay_seconds = 0.2
        assert passed(node.admit(times=20, minute=100, kill=kill)) == left
        assert node.counters()["redis_failures"] == 0
        assert passed(node.admit(minute=100)) == 1


@pytest.mark.parametrize("fault", [killed, hanging, out_of_memory, read_only, password_changed])
def test_a_thousand_failures_leave_nothing_behind(
    fault: Callable[[RedisServer], AbstractContextManager[None]],
    redis: RedisServer,
    start_node: Callable[..., Node],
) -> None:
    node = start_node({**redis.settings(), "timeout_ms": 5})
    with fault(redis):
        node.ask(10)
        before = node.resources()
        assert node.ask(1000) == 1000
        after = node.resources()
    assert after["descriptors"] <= before["descriptors"]
    # Names are looked up in gevent's pool of threads, which may grow to ten, with a greenlet or two for each.
    assert after["threads"] <= before["threads"] + 10
    assert after["greenlets"] <= before["greenlets"] + 20


def test_requests_while_redis_is_away_leave_nothing_behind(redis: RedisServer, tolerant: Node) -> None:
    redis.pause()
    tolerant.admit(times=10, minute=5)
    before = tolerant.resources()
    tolerant.admit(times=1000, minute=5)
    after = tolerant.resources()
    redis.resume()
    assert after["threads"] == before["threads"]
    assert after["descriptors"] <= before["descriptors"] + 1  # a probe may be under way
    assert after["greenlets"] <= before["greenlets"] + 1


def test_the_password_is_in_no_log(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    redis = start_redis(password="the right secret")
    node = start_node({**redis.settings(), "password": "a wrong secret"})
    assert passed(node.admit(times=10, minute=5)) == 5
    assert " is unavailable (" in node.log()
    assert "secret" not in node.log()
