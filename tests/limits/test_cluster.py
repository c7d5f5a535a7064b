"""A Redis Cluster that is configured by the address of one of its nodes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
import redis as redis_py
from redis.crc import key_slot

from kong.embedded.child import ChildError
from tests.harness.redis import RedisServer
from tests.limits.conftest import Node, back, passed, until

MASTERS, SLOTS = 3, 16384


@pytest.fixture
def masters(start_redis: Callable[..., RedisServer]) -> list[RedisServer]:
    """Three masters, each with a third of the slots."""
    masters = [start_master(start_redis, number) for number in range(MASTERS)]
    clients = [master.client() for master in masters]
    for number, client in enumerate(clients):
        client.execute_command("CLUSTER ADDSLOTS", *(slot for slot in range(SLOTS) if owner(slot) == number))
    for master in masters[1:]:
        clients[0].execute_command("CLUSTER MEET", master.host, master.port)
    until(lambda: all(is_whole(client) for client in clients))
    for client in clients:
        client.close()
    return masters


def owner(slot: int) -> int:
    return slot * MASTERS // SLOTS


def start_master(start_redis: Callable[..., RedisServer], number: int, attempts: int = 20) -> RedisServer:
    options = ["--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{number}.conf"]
    options += ["--cluster-require-full-coverage", "no"]
    try:
        return start_redis(options=options)
    except ChildError:
        # The port of its cluster bus, 10000 above its own, is taken or beyond the last one.
        if attempts == 1:
            raise
        return start_master(start_redis, number, attempts - 1)


def is_whole(client: redis_py.Redis) -> bool:
    information = client.execute_command("CLUSTER INFO")
    if not isinstance(information, dict):
        text = information.decode() if isinstance(information, bytes) else information
        information = dict(line.split(":") for line in text.split())
    return information["cluster_state"] == "ok" and information["cluster_size"] == str(MASTERS)


def consumer_of(master: int) -> str:
    """A consumer whose key belongs to that master."""
    names = (f"consumer-{number}" for number in count())
    return next(name for name in names if owner(slot_of(name)) == master)


def slot_of(consumer: str) -> int:
    return key_slot(f"yeastar-adapter:2:{{{consumer}}}".encode())


def keys(master: RedisServer) -> list[str]:
    with master.client() as client:
        return [key.decode() for key in client.scan_iter()]


def test_every_consumer_is_counted_by_the_node_that_has_its_slot(
    masters: list[RedisServer], start_node: Callable[..., Node]
) -> None:
    node = start_node(masters[0].settings(), fault_tolerant=False)
    for number, master in enumerate(masters):
        consumer = consumer_of(number)
        assert passed(node.admit(consumer, times=20, minute=5)) == 5
        assert keys(master) == [f"yeastar-adapter:2:{{{consumer}}}"]
    assert node.counters()["redis_failures"] == 0


def test_a_redirection_is_remembered(masters: list[RedisServer], start_node: Callable[..., Node]) -> None:
    node = start_node(masters[0].settings())
    consumer = consumer_of(1)
    node.admit(consumer, minute=100)
    before = node.counters()["redis_round_trips"]
    node.admit(consumer, times=10, at_once=False, minute=100)
    assert node.counters()["redis_round_trips"] == before + 10


def test_a_slot_that_is_just_being_moved_is_asked_for_at_its_new_place(
    masters: list[RedisServer], start_node: Callable[..., Node]
) -> None:
    consumer = consumer_of(0)
    old, new = (master.client() for master in masters[:2])
    node = start_node(masters[0].settings(), fault_tolerant=False)
    with old, new:
        names = [client.execute_command("CLUSTER MYID") for client in (old, new)]
        new.execute_command("CLUSTER SETSLOT", slot_of(consumer), "IMPORTING", names[0])
        old.execute_command("CLUSTER SETSLOT", slot_of(consumer), "MIGRATING", names[1])
        assert passed(node.admit(consumer, times=20, minute=5)) == 5
        for client in (new, old):
            client.execute_command("CLUSTER SETSLOT", slot_of(consumer), "NODE", names[1])
        assert passed(node.admit(consumer, times=20, minute=7)) == 2


def test_a_slot_that_was_moved_is_found_again(
    masters: list[RedisServer], start_node: Callable[..., Node]
) -> None:
    consumer = consumer_of(1)
    node = start_node(masters[0].settings(), fault_tolerant=False)
    assert passed(node.admit(consumer, minute=5)) == 1
    with masters[0].client() as first, masters[1].client() as second:
        second.delete(f"yeastar-adapter:2:{{{consumer}}}")
        for client in (first, second):
            name = first.execute_command("CLUSTER MYID")
            client.execute_command("CLUSTER SETSLOT", slot_of(consumer), "NODE", name)
    assert passed(node.admit(consumer, times=20, minute=5)) == 5
    assert node.counters()["redis_failures"] == 0


def test_while_a_node_is_away_requests_are_counted_locally(
    masters: list[RedisServer], start_node: Callable[..., Node]
) -> None:
    consumer = consumer_of(1)
    node = start_node({**masters[0].settings(), "timeout_ms": 1500})
    assert passed(node.admit(consumer, times=20, minute=5)) == 5
    masters[1].pause()
    assert passed(node.admit(consumer, times=20, minute=5)) == 5
    assert node.counters()["redis_away"]
    masters[1].resume()
    until(lambda: back(node))
    assert passed(node.admit(consumer, times=20, minute=6)) == 1


def test_a_node_that_takes_over_from_a_dead_one_is_found(
    masters: list[RedisServer], start_node: Callable[..., Node]
) -> None:
    consumer = consumer_of(1)
    node = start_node(masters[0].settings())
    assert passed(node.admit(consumer, times=20, minute=5)) == 5
    masters[1].kill()
    assert passed(node.admit(consumer, times=20, minute=5)) == 5
    with masters[0].client() as client:
        name = client.execute_command("CLUSTER MYID")
        client.execute_command("CLUSTER SETSLOT", slot_of(consumer), "NODE", name)
    until(lambda: back(node))
    assert passed(node.admit(consumer, times=20, minute=5)) == 5
    assert f"yeastar-adapter:2:{{{consumer}}}" in keys(masters[0])
