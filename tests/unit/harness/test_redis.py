from __future__ import annotations

import pytest
import redis

from kong.embedded import redis_server
from kong.embedded.redis_server import RedisNotFoundError
from tests.harness.link import Link


def test_a_killed_server_comes_back_empty_on_the_same_port(start_redis):
    server = start_redis()
    with server.client() as client:
        client.set("a", 1)
    port = server.port
    server.kill()
    with pytest.raises(redis.ConnectionError):
        server.client().ping()
    server.start()
    assert server.port == port
    assert server.client().get("a") is None


def test_a_paused_server_answers_nothing_until_it_is_resumed(start_redis):
    server = start_redis()
    server.pause()
    with pytest.raises(redis.TimeoutError):
        server.client(socket_timeout=0.2, retry=None).ping()
    server.resume()
    assert server.client().ping()


def test_a_server_can_ask_for_a_password(start_redis):
    server = start_redis(password="pass-word")
    assert server.client().ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=server.port).ping()


def test_a_server_can_have_users_with_rights(start_redis):
    server = start_redis(users={"limiter": "on >pass-word ~yeastar:* +@all"})
    client = redis.Redis(port=server.port, username="limiter", password="pass-word")
    assert client.set("yeastar:1", 1)
    with pytest.raises(redis.exceptions.NoPermissionError):
        client.set("other", 1)


def test_a_server_can_stand_behind_tls(start_redis):
    server = start_redis(tls=True)
    assert server.settings()["ssl"] is True
    assert server.tls_client().ping()
    with pytest.raises(redis.ConnectionError):
        redis.Redis(port=server.tls_port, socket_timeout=2, retry=None).ping()


def test_a_link_can_hang_and_break(redis_server):
    with Link(redis_server.port) as link:
        client = redis.Redis(port=link.port, socket_timeout=0.2, retry=None)
        assert client.ping()
        link.hold()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        link.release()
        assert client.ping()
        held = client.pubsub()
        held.subscribe("x")
        link.cut()
        assert client.ping(), "a new connection is made"
        assert link.connections >= 3


def test_a_machine_without_redis_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(redis_server.shutil, "which", lambda name: None)
    monkeypatch.setattr(redis_server.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RedisNotFoundError, match="apt install redis-server"):
        redis_server.find_binary()
