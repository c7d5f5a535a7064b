"""Two gateways, each with a plugin server of its own, on one Redis and one FutureSMS account."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import assert_discreet
from tests.harness.gateway import EmbeddedGateway, wait_until
from tests.harness.kong_yml import KongYml
from tests.harness.load import Load
from tests.harness.pbx import Answer, Pbx, steadily
from tests.harness.redis import RedisServer
from tests.harness.secrets import Secrets
from tests.harness.stub import LOGIN, REFRESH, StubServer


@dataclass
class Cluster:
    """Both nodes; a PBX behind a load balancer sends to one after the other."""

    nodes: list[EmbeddedGateway]
    pbxs: list[Pbx]
    _turn: Iterator[int]

    def send(self, **options: Any) -> Answer:
        return self.pbxs[next(self._turn) % len(self.pbxs)].send(**options)

    def serve(self) -> bool:
        """Whether each of them takes a message."""
        return all(pbx.send(text=f"to node {n}").status == 200 for n, pbx in enumerate(self.pbxs))


@pytest.fixture(scope="module")
def nodes(
    tmp_path_factory: pytest.TempPathFactory, _base_kong_yml: KongYml, _stub: StubServer, secrets: Secrets
) -> Iterator[list[EmbeddedGateway]]:
    """Both gateways, for all these tests."""
    started = []
    for number in (1, 2):
        directory = tmp_path_factory.mktemp(f"node-{number}")
        probe_url = f"{_stub.url}/__stub__/status"
        started.append(EmbeddedGateway(directory, _base_kong_yml, probe_url=probe_url, workers=1))
    yield started
    for node in started:
        node.stop()
        assert_discreet(node, secrets)


@pytest.fixture
def cluster(
    nodes: list[EmbeddedGateway],
    kong_yml: KongYml,
    stub: StubServer,
    redis_server: RedisServer,
    pbx_at: Callable[..., Pbx],
) -> Cluster:
    redis_server.start()
    redis_server.flush()
    kong_yml.limit(minute=1_000_000)
    kong_yml.config["rate_limit"].update(policy="redis", fault_tolerant=False)
    kong_yml.config["rate_limit"]["redis"]["timeout_ms"] = 5000
    for node in nodes:
        if not node.alive:
            node.restart()
        node.load(kong_yml)
    found = Cluster(nodes, [pbx_at(node.proxy_url) for node in nodes], itertools.count())
    # Redis may have been away for the test before.
    wait_until(found.serve, 30, "both nodes to serve")
    stub.clear_orders()
    return found


def test_both_count_as_one_and_give_turns_as_one(
    cluster: Cluster, kong_yml: KongYml, stub: StubServer
) -> None:
    limit(cluster, kong_yml, second=5, minute=300)
    started = time.monotonic()
    with ThreadPoolExecutor(30) as pool:
        statuses = Counter(pool.map(lambda _: cluster.send().status, range(30)))
    seconds_late = int((time.monotonic() - started) / 0.999) - 1
    # Five at once, and five a second later; five for each second more that a busy machine takes to bring them all.
    sent = len(stub.orders())
    assert 10 <= sent <= 10 + 5 * seconds_late
    assert statuses == {200: sent, 429: 30 - sent}


def test_a_pbx_at_the_documented_rate_loses_nothing_behind_a_load_balancer(
    cluster: Cluster, kong_yml: KongYml, stub: StubServer
) -> None:
    limit(cluster, kong_yml, second=5, minute=300)
    assert [answer.code for answer in steadily(cluster.send, 50, rate=5)] == [None] * 50
    assert len(stub.orders()) == 50


def limit(cluster: Cluster, kong_yml: KongYml, **rates: int) -> None:
    """Other rates for both."""
    kong_yml.limit(**rates)
    for node in cluster.nodes:
        node.load(kong_yml)


@pytest.mark.parametrize("what", ["expire_tokens", "revoke_tokens"])
def test_both_renew_their_tokens_at_once_and_each_goes_on(
    cluster: Cluster, stub: StubServer, what: str
) -> None:
    def renewals() -> int:
        return stub.count(f"POST {LOGIN}") + stub.count(f"POST {REFRESH}")

    before = renewals()
    load = Load(cluster, stub)  # type: ignore[arg-type]
    with load.running():
        for _ in range(5):
            getattr(stub, what)()
            # An order that meets two of these is answered 401 twice, and that is the PBX's 403 (contract).
            load.wait_for_each(5)
    assert load.statuses.keys() == {200}
    load.verdict()
    # A refresh, and where that is refused a log-in, each for each time: not one a message.
    assert renewals() - before <= 2 * 5 * 2


def test_tokens_that_live_for_a_second_are_renewed_by_both_and_cost_no_message(
    cluster: Cluster, stub: StubServer
) -> None:
    stub.token_life(access_seconds=1, refresh_seconds=3)
    stub.expire_tokens()
    load = Load(cluster, stub, senders=3)  # type: ignore[arg-type]
    with load.running():
        wait_until(lambda: stub.count(f"POST {REFRESH}") >= 6, 60, "tokens renewed several times")
        load.wait_for(30)
    assert load.statuses.keys() == {200}
    load.verdict()


def test_a_limit_is_exact_over_both(cluster: Cluster, stub: StubServer, kong_yml: KongYml) -> None:
    kong_yml.limit(day=70)
    for node in cluster.nodes:
        node.load(kong_yml)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: cluster.send(), range(200)))
    assert Counter(answer.status for answer in answers) == {200: 70, 429: 130}
    assert len(stub.orders()) == 70
    by_node = [Counter(answer.status for answer in answers[half::2]) for half in (0, 1)]
    assert sum(counts[200] for counts in by_node) == 70


def test_a_futuresms_that_was_started_again_knows_no_token_and_both_go_on(
    cluster: Cluster, stub: StubServer
) -> None:
    assert cluster.serve()
    stub.kill()
    assert {pbx.send().code for pbx in cluster.pbxs} == {"10007"}
    stub.start()
    wait_until(cluster.serve, 30, "both nodes to serve")
    assert len(stub.orders()) >= 2


def test_one_goes_on_without_the_other(cluster: Cluster, stub: StubServer) -> None:
    assert cluster.serve()
    cluster.nodes[0].kill()
    stub.expire_tokens()
    for _ in range(10):
        assert cluster.pbxs[1].send().status == 200
    cluster.nodes[0].restart()
    wait_until(cluster.serve, 30, "both nodes to serve")


def test_redis_is_back_after_a_restart_for_both_alike(
    cluster: Cluster, stub: StubServer, redis_server: RedisServer
) -> None:
    assert cluster.serve()
    redis_server.kill()
    try:
        assert {pbx.send().code for pbx in cluster.pbxs} == {"10007"}
    finally:
        redis_server.start()
    wait_until(cluster.serve, 30, "both nodes to serve")
