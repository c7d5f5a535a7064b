"""Alerts, dashboards and scrape targets speak of things that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from yeastar_adapter.observability import metrics

ROOT = Path(__file__).resolve().parents[2]
OBSERVABILITY = ROOT / "observability"
DASHBOARDS = sorted((OBSERVABILITY / "grafana/dashboards").glob("*.json"))
SOURCE = "".join(path.read_text() for path in sorted(Path(metrics.__file__).parent.glob("*metrics.py")))


def read(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((OBSERVABILITY / name).read_text())


RULES: list[dict[str, Any]] = [rule for group in read("alerts.yml")["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_about_metrics_that_the_adapter_has(rule: dict[str, Any]) -> None:
    _assert_known(rule["expr"])
    assert rule["labels"]["severity"] in ("page", "ticket")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_stands_in_the_manual_with_what_to_do(rule: dict[str, Any]) -> None:
    assert f"`{rule['alert']}`" in (ROOT / "docs/operations.md").read_text()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_dashboard_is_about_metrics_that_the_adapter_has(path: Path) -> None:
    for expression in re.findall(r'"expr": ("(?:[^"\\]|\\.)*")', path.read_text()):
        _assert_known(json.loads(expression))


def test_prometheus_asks_kong_at_its_status_port_and_reads_the_alerts() -> None:
    configuration = read("prometheus.yml")
    assert configuration["rule_files"] == ["alerts.yml"]
    ports = {job["job_name"]: job["dns_sd_configs"][0]["port"] for job in configuration["scrape_configs"]}
    [status_port] = re.findall(
        r"^status_listen = [\d.]+:(\d+)$", (ROOT / "kong/kong.conf").read_text(), re.MULTILINE
    )
    assert ports["kong"] == int(status_port)
    services = YAML(typ="safe", pure=True).load((ROOT / "docker-compose.yml").read_text())["services"]
    for job in configuration["scrape_configs"]:
        assert set(job["dns_sd_configs"][0]["names"]) <= services.keys()


def test_grafana_finds_its_data_and_its_dashboards_where_compose_mounts_them() -> None:
    services = YAML(typ="safe", pure=True).load((ROOT / "docker-compose.yml").read_text())["services"]
    [provider] = read("grafana/provisioning/dashboards/files.yml")["providers"]
    assert (
        f"./observability/grafana/dashboards:{provider['options']['path']}:ro"
        in services["grafana"]["volumes"]
    )
    [source] = read("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"


def _assert_known(expression: str) -> None:
    for name in re.findall(r"\byeastar_adapter_(\w+)", expression):
        base = re.sub(r"_(total|bucket|count|sum)$", "", name)
        assert f'"{base}"' in SOURCE or f'"{name}"' in SOURCE, name
