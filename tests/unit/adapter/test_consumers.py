"""Kong's consumers: how often Kong is asked for them, and what is done while it cannot say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from yeastar_adapter.consumers import Consumers
from yeastar_adapter.settings import Settings
from yeastar_adapter.yeastar.errors import SERVICE_UNAVAILABLE, Refusal

ENTITY = {"id": "f70c4878", "username": "acme-manila"}
SECONDS = Settings.parse({}).consumer_cache_seconds


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Kong:
    """Kong's database of consumers, behind yeastar-reader."""

    def __init__(self) -> None:
        self.database: dict[str, Any] = {"acme-manila": ENTITY}
        self.away = False
        self.meanwhile: Callable[[], None] = lambda: None
        self.loaded: list[str] = []
        self.yeastar = self

    def load_consumer(self, username: str) -> Any:
        self.loaded.append(username)
        self.meanwhile()
        if self.away:
            return {"error": "[postgres] connection refused"}
        return {"consumer": self.database.get(username, False)}


@pytest.fixture
def kong() -> Kong:
    return Kong()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_kong_is_asked_for_a_consumer_once_in_a_while(kong: Kong, clock: Clock) -> None:
    consumers = Consumers(5, clock)
    for step in (0, 1, 3.9, 0.2, 1):
        clock.now += step
        assert consumers.find(kong, "acme-manila") == ENTITY
    assert kong.loaded == ["acme-manila"] * 2


def test_a_consumer_that_is_deleted_in_kong_is_gone_within_seconds(kong: Kong, clock: Clock) -> None:
    consumers = Consumers(SECONDS, clock)
    consumers.find(kong, "acme-manila")
    kong.database.clear()
    clock.now += 5
    assert consumers.find(kong, "acme-manila") is None


def test_no_memory_at_all_when_that_is_configured(kong: Kong) -> None:
    consumers = Consumers(0)
    for _ in range(3):
        consumers.find(kong, "acme-manila")
    assert len(kong.loaded) == 3
    kong.database.clear()
    assert consumers.find(kong, "acme-manila") is None


def test_a_consumer_that_is_added_to_kong_is_found_soon(kong: Kong, clock: Clock) -> None:
    consumers = Consumers(60, clock)
    kong.database.clear()
    assert consumers.find(kong, "acme-manila") is None
    kong.database["acme-manila"] = ENTITY
    clock.now += 1
    assert consumers.find(kong, "acme-manila") == ENTITY


@pytest.mark.parametrize("seconds", [SECONDS, 0])
def test_a_consumer_is_taken_as_it_was_while_kongs_database_is_away(
    kong: Kong, clock: Clock, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    consumers = Consumers(seconds, clock)
    consumers.find(kong, "acme-manila")
    kong.away = True
    for _ in range(1000):
        clock.now += 1
        assert consumers.find(kong, "acme-manila") == ENTITY
    assert 100 < len(kong.loaded) <= 202
    kong.away = False
    clock.now += 5
    assert consumers.find(kong, "acme-manila") == ENTITY
    kong.database.clear()
    clock.now += 5
    assert consumers.find(kong, "acme-manila") is None
    first, second = [record.getMessage() for record in caplog.records]
    assert first == (
        "Kong cannot look up the consumer 'acme-manila' ([postgres] connection refused): "
        "until it can, consumers are taken as they were last"
    )
    assert second.startswith("Kong can look up consumers again, after 1")


@pytest.mark.parametrize("asked_before", [False, True])
def test_nobody_is_told_that_he_does_not_exist_while_kongs_database_is_away(
    kong: Kong, clock: Clock, asked_before: bool
) -> None:
    consumers = Consumers(5, clock)
    if asked_before:
        kong.database.clear()
        assert consumers.find(kong, "acme-manila") is None
        clock.now += 1
    kong.away = True
    for _ in range(2):
        with pytest.raises(Refusal, match="Kong cannot look up the consumer 'acme-manila'") as caught:
            consumers.find(kong, "acme-manila")
        assert caught.value.error is SERVICE_UNAVAILABLE
    kong.away = False
    kong.database["acme-manila"] = ENTITY
    assert consumers.find(kong, "acme-manila") == ENTITY


@pytest.mark.parametrize("answer", [None, {}, "", []])
def test_a_reader_that_cannot_look_up_is_named(kong: Kong, answer: Any) -> None:
    kong.load_consumer = lambda _username: answer  # type: ignore[method-assign]
    with pytest.raises(Refusal, match="yeastar-reader is of another version"):
        Consumers(5).find(kong, "acme-manila")


def test_one_request_at_a_time_waits_for_a_database_that_does_not_answer(kong: Kong, clock: Clock) -> None:
    consumers = Consumers(5, clock)
    consumers.find(kong, "acme-manila")
    clock.now += 5
    found: list[Any] = []
    kong.away = True
    kong.meanwhile = lambda: found.append(consumers.find(kong, "acme-manila"))
    assert consumers.find(kong, "acme-manila") == ENTITY
    assert found == [ENTITY]
    assert len(kong.loaded) == 2
