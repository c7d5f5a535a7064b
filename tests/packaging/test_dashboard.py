"""The dashboard is one that Grafana takes, and Prometheus answers every query of it."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest
from yeastar_adapter.observability.requests import Fault

from bench.dashboard import PROMETHEUS_PLUGIN
from bench.grafana import Panel, Variables, panels, read
from bench.prometheus import Prometheus, is_installed
from tests.harness.gateway import EmbeddedGateway, wait_until
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import Pbx
from tests.harness.stub import SENDS, StubClient

SCHEMA = Path(__file__).parent / "data" / "grafana-dashboard.schema.json"
PANELS = list(panels(read()))
DRAWN = [panel for panel in PANELS if panel.kind != "row"]

needs_prometheus = pytest.mark.skipif(not is_installed(), reason="no Prometheus on PATH")


def test_it_is_valid_by_grafanas_schema() -> None:
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    assert [error.message for error in validator.iter_errors(read())] == []


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    ids = [panel.definition["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        x, _, width, _ = panel.place
        assert x + width <= 24, panel.title
    for one, other in itertools.combinations(PANELS, 2):
        (x, y, w, h), (x2, y2, w2, h2) = one.place, other.place
        apart = x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
        assert apart, f"{one.title} / {other.title}"


@pytest.mark.parametrize("panel", DRAWN, ids=lambda panel: panel.title)
def test_a_panel_says_what_it_shows(panel: Panel) -> None:
    assert panel.definition["description"].endswith(".")


def test_every_data_source_is_the_one_that_is_chosen() -> None:
    sources = [panel.definition["datasource"] for panel in DRAWN]
    sources += [target["datasource"] for panel in DRAWN for target in panel.definition["targets"]]
    assert {source["uid"] for source in sources} == {"${datasource}"}


def test_no_query_has_a_variable_that_is_not_there() -> None:
    known = {variable["name"] for variable in read()["templating"]["list"]} | {"__rate_interval", "__range"}
    used = {
        name for panel in DRAWN for one in panel.targets for name in re.findall(r"\$(\w+)", one.expression)
    }
    assert used <= known
    assert {"route", "consumer"} <= used


def test_whoever_can_be_at_fault_is_shown() -> None:
    shown = {
        fault
        for panel in DRAWN
        for one in panel.targets
        for fault in re.findall(r'fault="(\w+)"', one.expression)
    }
    assert shown == {fault.value for fault in Fault}


SCRAPES = 5
REPORTS = "/api/v1/integration/yeastar/sms/reports/"


@pytest.fixture
def traffic(
    start_gateway: Callable[..., EmbeddedGateway],
    kong_yml: KongYml,
    stub: StubClient,
    pbx_at: Callable[..., Pbx],
    tmp_path: Path,
) -> Iterator[tuple[Prometheus, float]]:
    """The Prometheus server that has watched a gateway do something of everything, and until when it did."""
    kong_yml.config["metrics"] = {"listen": "127.0.0.1:0"}
    kong_yml["plugins"] = [PROMETHEUS_PLUGIN]
    # FutureSMS reports on a route of its own; where that is, is known once the gateway has a port.
    [service] = kong_yml["services"]
    service["routes"].append({**service["routes"][0], "name": "yeastar-reports", "paths": [f"~{REPORTS}"]})
    gateway = start_gateway(kong_yml)
    secret = "dashboard-secret-0123456789abcdef"
    reports = {"enabled": True, "public_url": gateway.proxy_url, "secret": secret}
    kong_yml.config["delivery_reports"] = reports
    gateway.load(kong_yml)
    stub.report(https_only=False, allow_private=True, charge_ms=0, delay_ms=0)
    pbx = pbx_at(gateway.proxy_url)
    pbx.verify()
    exported = wait_until(
        lambda: re.search(r"metrics are served at (http://\S+)", gateway.log()), 20, "metrics are served"
    )
    jobs = {"kong": f"{gateway.admin_url}/metrics", "yeastar-adapter": exported[1]}
    prometheus = Prometheus(tmp_path / "prometheus", jobs, scrape_seconds=1)
    try:
        wait_until(lambda: set(prometheus.targets().values()) == {"up"}, 30, "both targets are up", pause=0.2)
        seen = _scrapes(prometheus)
        deadline = time.monotonic() + 60
        # A rate is made of two scrapes at least, with something between them.
        while _scrapes(prometheus) < seen + SCRAPES:
            assert time.monotonic() < deadline, "Prometheus does not scrape"
            pbx.send()
            pbx.send(to="+639171230001")
            pbx.send(to="0917")
            pbx.verify(key="ystr_guess_of_a_stranger_00000000")
            stub.behave(status=503, path=SENDS)
            pbx.send()
            time.sleep(0.1)  # more would tell Prometheus nothing new
        yield prometheus, time.time()
    finally:
        prometheus.stop()


def _scrapes(prometheus: Prometheus) -> float:
    """How often it has asked the one of the two that it has asked less often."""
    [(_, count)] = prometheus.query("min(count_over_time(up[1h]))")
    return count


@needs_prometheus
def test_prometheus_answers_every_query(traffic: tuple[Prometheus, float]) -> None:
    prometheus, until = traffic
    variables = Variables(1, 60, {"route": "yeastar-sms", "consumer": ".*"})

    found = {
        f"{panel.title} {target.ref}": prometheus.query(variables.fill_in(target.expression), until)
        for panel in DRAWN
        for target in panel.targets
    }
    # The embedded gateway has no histograms of Kong's; nobody was over a limit, or refused for set-up or gateway.
    absent = {
        "How long FutureSMS took A",
        "How long FutureSMS took B",
        "How long FutureSMS took C",
        "What the gateway adds A",
        "Rate limiter D",
        "By consumer, in the time shown C",
        "By consumer, in the time shown E",
        "No report after an hour A",  # it is no hour
    }
    assert {name for name, samples in found.items() if not samples} <= absent
    by_fault = [found[f"Failures, by who can correct them {ref}"][0][1] for ref in "ABCD"]
    assert by_fault[0] > 0, "PBX"
    assert by_fault[1] == 0, "set-up"
    assert by_fault[2] > 0, "FutureSMS"
    table = {labels["consumer"]: value for labels, value in found["By consumer, in the time shown A"]}
    assert table["acme-manila"] > 0
    assert found["Redis A"] == [({}, 1.0)]
    assert found["FutureSMS log-in A"] == [({}, 1.0)]
