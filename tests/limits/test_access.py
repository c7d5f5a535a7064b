"""Servers that ask who is there, and connections that nobody else can read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.authority import Authority
from tests.harness.link import CA_CERTIFICATE
from tests.harness.redis import RedisServer
from tests.limits.conftest import Node, back, passed, until

SCRIPT_ALONE = "on >hunter2 ~yeastar-adapter:* +evalsha +eval +time +get +set"


def test_a_server_with_a_password(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    redis = start_redis(password="sesame")
    node = start_node(redis.settings(), fault_tolerant=False)
    assert passed(node.admit(times=6, minute=5)) == 5


@pytest.mark.parametrize("password", [None, "", "wrong"])
def test_a_server_with_another_password(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node], password: str | None
) -> None:
    redis = start_redis(password="sesame")
    node = start_node({**redis.settings(), "password": password}, fault_tolerant=False)
    assert node.admit(times=6, minute=5) == [None] * 6


def test_a_user_who_may_do_nothing_but_limit(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    redis = start_redis(password="sesame", users={"limiter": SCRIPT_ALONE})
    settings = {**redis.settings(), "username": "limiter", "password": "hunter2"}
    node = start_node(settings, fault_tolerant=False)
    assert passed(node.admit(times=6, minute=5)) == 5
    assert node.counters()["redis_failures"] == 0


def test_a_user_who_may_not_even_do_that(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    redis = start_redis(users={"reader": "on >hunter2 ~* +get +evalsha +eval +time"})
    settings = {**redis.settings(), "username": "reader", "password": "hunter2"}
    node = start_node(settings, fault_tolerant=False)
    assert node.admit(times=2, minute=5) == [None] * 2
    assert node.log().count("does not let its user run the limiter") == 1
    assert "+eval +evalsha +get +set +time ~yeastar-adapter:*" in node.log()
    assert "away" not in node.log()


RULES = {"evalsha": "+evalsha", "eval": "+eval", "get": "+get", "set": "+set", "keys": "~yeastar-adapter:*"}


@pytest.mark.parametrize("missing", RULES)
def test_a_permission_that_is_missing_is_said_once_with_all_that_are_needed(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node], missing: str
) -> None:
    rules = [rule for name, rule in RULES.items() if name != missing]
    redis = start_redis(users={"limiter": " ".join(["on >hunter2 +time", *rules])})
    settings = {**redis.settings(), "username": "limiter", "password": "hunter2"}
    node = start_node(settings)
    assert passed(node.admit(times=6, minute=5)) == 5
    assert node.counters()["fallbacks"] == 6
    assert node.log().count("does not let its user run the limiter") == 1


def test_a_permission_that_is_given_later_is_noticed(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    redis = start_redis(users={"limiter": "on >hunter2 ~yeastar-adapter:* +evalsha +eval +time +get"})
    node = start_node(
        {**redis.settings(), "username": "limiter", "password": "hunter2"}, fault_tolerant=False
    )
    assert node.admit(minute=5) == [None]
    with redis.client() as client:
        client.execute_command("ACL SETUSER", "limiter", "+set")
    until(lambda: back(node))
    assert passed(node.admit(times=6, minute=5)) == 5


def test_a_user_who_may_not_ask_the_time_counts_by_the_nodes_clock(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    redis = start_redis(users={"limiter": "on >hunter2 ~yeastar-adapter:* +evalsha +eval +get +set"})
    settings = {**redis.settings(), "username": "limiter", "password": "hunter2"}
    nodes = [start_node(settings, fault_tolerant=False) for _ in range(2)]
    assert sum(passed(node.admit(times=4, minute=5)) for node in nodes) == 5
    assert [node.log().count("does not tell scripts the time") for node in nodes] == [1, 1]


def test_a_server_without_time_counts_by_the_nodes_clock(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    redis = start_redis(options=["--rename-command", "TIME", ""])
    node = start_node(redis.settings(), fault_tolerant=False)
    assert passed(node.admit(times=20, minute=5)) == 5
    assert passed(node.admit("globex", times=20, at_once=False, minute=5)) == 5
    with redis.client() as client:
        client.script_flush()
    assert passed(node.admit("initech", times=20, minute=5)) == 5
    assert node.log().count("does not tell scripts the time") == 1
    assert node.counters()["redis_failures"] == 0


def test_another_database(redis: RedisServer, start_node: Callable[..., Node]) -> None:
    node = start_node({**redis.settings(), "database": 3})
    assert passed(node.admit(times=6, minute=5)) == 5
    with redis.client() as client:
        assert client.dbsize() == 0
        client.select(3)
        assert client.dbsize() == 1


def test_tls_with_a_password_and_a_certificate_that_nobody_checks(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    redis = start_redis(tls=True, password="sesame")
    node = start_node(redis.settings(), fault_tolerant=False)
    assert passed(node.admit(times=200, minute=50)) == 50


def test_tls_with_a_certificate_of_a_known_authority(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    redis = start_redis(tls=True)
    node = start_node(
        {**redis.settings(), "ssl_verify": True}, {"SSL_CERT_FILE": str(CA_CERTIFICATE)}, fault_tolerant=False
    )
    assert passed(node.admit(times=6, minute=5)) == 5


def test_a_certificate_of_an_unknown_authority_is_refused(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    redis = start_redis(tls=True)
    node = start_node({**redis.settings(), "ssl_verify": True}, fault_tolerant=False)
    assert node.admit(times=2, minute=5) == [None] * 2
    assert "CERTIFICATE_VERIFY_FAILED" in node.log()


def test_tls_with_a_file_of_certificates_to_trust(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node]
) -> None:
    redis = start_redis(tls=True)
    settings = {**redis.settings(), "ssl_verify": True, "ca_certificates": str(CA_CERTIFICATE)}
    assert passed(start_node(settings, fault_tolerant=False).admit(times=6, minute=5)) == 5


@pytest.mark.parametrize(
    ("names", "expired", "reason"),
    [
        (["redis.example"], False, "IP address mismatch"),
        (["127.0.0.1"], True, "certificate has expired"),
    ],
)
def test_a_certificate_for_another_host_or_another_time_is_refused(
    start_redis: Callable[..., RedisServer],
    start_node: Callable[..., Node],
    tmp_path: Path,
    names: list[str],
    expired: bool,
    reason: str,
) -> None:
    authority = Authority(tmp_path / "authority")
    redis = start_redis(tls=authority.issue(*names, expired=expired))
    settings = {**redis.settings(), "ssl_verify": True, "ca_certificates": str(authority.certificate)}
    node = start_node(settings, fault_tolerant=False)
    assert node.admit(times=2, minute=5) == [None] * 2
    assert reason in node.log()


def test_a_file_that_cannot_be_used_is_named_and_one_that_comes_later_is_used(
    start_redis: Callable[..., RedisServer], start_node: Callable[..., Node], tmp_path: Path
) -> None:
    redis = start_redis(tls=True)
    file = tmp_path / "ca.pem"
    settings = {**redis.settings(), "ssl_verify": True, "ca_certificates": str(file)}
    node = start_node(settings, fault_tolerant=False)
    assert node.admit(minute=5) == [None]
    assert f"{file} cannot be read" in node.log()
    file.write_bytes(CA_CERTIFICATE.read_bytes())
    until(lambda: back(node))
    assert passed(node.admit(times=6, minute=5)) == 5


def test_tls_that_the_server_does_not_speak(redis: RedisServer, start_node: Callable[..., Node]) -> None:
    node = start_node({**redis.settings(), "ssl": True, "timeout_ms": 500}, fault_tolerant=False)
    assert node.admit(times=2, minute=5) == [None] * 2
