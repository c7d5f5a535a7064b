from __future__ import annotations

import time

import gevent
import pytest
from redis.exceptions import BusyLoadingError, TimeoutError
from yeastar_adapter.limits import LimiterCounters, RateLimits, RedisSettings, shared_connection
from yeastar_adapter.limits.shared_connection import ScriptCall, SharedConnection


class LoadingConnection:
    """A connection to a server that is loading its data, and refuses every command until it has."""

    def connect(self) -> None:
        pass

    def send_packed_command(self, command: object) -> None:
        pass

    def read_response(self, disable_decoding: bool) -> None:
        raise BusyLoadingError("Redis is loading the dataset in memory")

    def disconnect(self) -> None:
        pass


class DeafConnection:
    """A connection to a server that never answers."""

    def __init__(self) -> None:
        self.attempts = 0

    def connect(self) -> None:
        self.attempts += 1
        gevent.sleep(60)

    def disconnect(self) -> None:
        pass


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> DeafConnection:
    connection = DeafConnection()
    monkeypatch.setattr(shared_connection, "_connection", lambda settings: connection)
    return connection


def test_a_server_that_failed_is_not_tried_again_for_those_who_waited_meanwhile(deaf: DeafConnection) -> None:
    asked = SharedConnection(RedisSettings(timeout_ms=50), LimiterCounters())
    calls = [ScriptCall("key", RateLimits(second=1), 0, time.monotonic() + 0.05) for _ in range(5)]
    waiting = [gevent.spawn(asked.ask, call) for call in calls]
    gevent.joinall(waiting)
    assert all(isinstance(greenlet.value, TimeoutError) for greenlet in waiting)
    assert deaf.attempts == 1


def test_after_a_failure_the_next_question_tries_again(deaf: DeafConnection) -> None:
    asked = SharedConnection(RedisSettings(timeout_ms=20), LimiterCounters())
    for attempt in (1, 2):
        answer = asked.ask(ScriptCall("key", RateLimits(second=1), 0, time.monotonic() + 0.02))
        assert isinstance(answer, TimeoutError)
        assert deaf.attempts == attempt


def test_a_server_that_is_loading_its_data_gives_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_connection, "_connection", lambda settings: LoadingConnection())
    asked = SharedConnection(RedisSettings(), LimiterCounters())
    for _ in range(3):
        answer = asked.ask(ScriptCall("key", RateLimits(second=1), 0, time.monotonic() + 5))
        assert isinstance(answer, BusyLoadingError)
