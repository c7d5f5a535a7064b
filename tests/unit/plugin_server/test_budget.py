"""How often a request asks Kong for something: 20 to 25 µs on Kong's side each time, and more on ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import processes, traffic
from bench.load import start_instance
from bench.processes import OURS, plugin_server
from bench.soak import Worker


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """A connection to a plugin server that has read its consumer and has a token."""
    with processes.stub() as merchant, plugin_server(OURS) as server:
        instance = start_instance(server.path, OURS, traffic.configuration(merchant))
        worker = Worker(server.path, instance)
        first, second = traffic.accepted(2)
        assert worker.send(first, None) == 200
        assert worker.send(second, None) == 200
        yield worker
        worker.close()


def test_an_accepted_message_costs_four_round_trips(worker: Worker) -> None:
    assert worker.send(traffic.accepted(1)[0], None) == 200
    # HandleEvent in both phases, and what either asks for.
    assert worker.awaited + 2 == 4


def test_an_unknown_key_costs_two_round_trips(worker: Worker) -> None:
    assert worker.send(traffic.refused_key()[0], None) == 401
    assert worker.awaited + 1 == 2


def test_a_verification_costs_three_round_trips(worker: Worker) -> None:
    assert worker.send(traffic.verify()[0], None) == 200
    assert worker.awaited + 1 == 3
