"""The alert rules, judged by Prometheus' own tool: who is woken by what, and by what nobody is."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.grafana import Variables, panels, read

RULES = Path(__file__).parents[2] / "observability" / "alerts.yml"

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on PATH")

SLOW = 300
"""Seconds: a day of a rule's series is seconds of work, and a busy machine has ten other things to do."""

Series = dict[str, str]
"""Series → its values, a minute apart, as promtool writes them: `0+60x30` is 0, 60, 120 … 1800."""

HOUR = "x60"

WELL: Series = {
    'up{job="yeastar-adapter", instance="kong:9542"}': "1" + HOUR,
    'up{job="kong", instance="kong:8007"}': "1" + HOUR,
    'kong_http_requests_total{route="yeastar-sms", code="200"}': "0+600" + HOUR,
    'yeastar_adapter_orders_forwarded_total{consumer="acme-manila"}': "0+600" + HOUR,
    "yeastar_adapter_orders_accepted_total": "0+600" + HOUR,
    'yeastar_adapter_upstream_answers_total{status="202", code=""}': "0+600" + HOUR,
    "yeastar_adapter_redis_up": "1" + HOUR,
    'yeastar_adapter_session_paused{account="yeastar-gateway", address="futuresms:8080"}': "0" + HOUR,
    'yeastar_adapter_events_lost_total{how="failed"}': "0" + HOUR,
    "yeastar_adapter_instances_failed_total": "0" + HOUR,
    "yeastar_adapter_tokens_rejected_total": "0" + HOUR,
    'process_start_time_seconds{job="yeastar-adapter", instance="kong:9542"}': "100" + HOUR,
}


def refusals(consumer: str, code: str, fault: str) -> str:
    labels = {"consumer": consumer, "endpoint": "sendmessage", "code": code, "fault": fault}
    return f"yeastar_adapter_refusals_total{{{', '.join(f'{k}={json.dumps(v)}' for k, v in labels.items())}}}"


def kong(code: str) -> str:
    return f'kong_http_requests_total{{route="yeastar-sms", code="{code}"}}'


def _judge(tmp_path: Path, series: Series, minute: int, alerts: set[str]) -> None:
    """Exactly these alerts are on after so many minutes."""
    _ask(tmp_path, series, [(minute, _FIRING, _shown(alerts))])


def _judge_days(tmp_path: Path, series: Series, alerts: dict[int, set[str]]) -> None:
    """Exactly these alerts are on after so many minutes, by minutes.

    The rules are asked every ten minutes: a question about a whole day takes Prometheus long.
    """
    _ask(tmp_path, series, [(minute, _FIRING, _shown(on)) for minute, on in alerts.items()], every="10m")


_FIRING = 'count by (alertname) (count by (alertname) (ALERTS{alertstate="firing"}))'


def _shown(alerts: set[str]) -> dict[str, float]:
    return {f'{{alertname="{alert}"}}': 1 for alert in sorted(alerts)}


def _ask(
    tmp_path: Path, series: Series, questions: list[tuple[int, str, dict[str, float]]], every: str = "1m"
) -> None:
    """Prometheus gives the answer, by labels, to each question, after so many minutes."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": question,
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in answer.items()],
            }
            for minute, question, answer in questions
        ],
    }
    path = tmp_path / "test.json"  # JSON is YAML
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": every, "tests": [test]}))
    judged = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, timeout=SLOW)
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_the_rules_are_rules() -> None:
    judged = subprocess.run(
        ["promtool", "check", "rules", RULES], capture_output=True, text=True, timeout=SLOW
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_nobody_is_woken_while_all_is_well(tmp_path: Path) -> None:
    _judge(tmp_path, WELL, 60, set())


def test_nobody_is_woken_by_what_pbxs_do_wrong_now_and_then(tmp_path: Path) -> None:
    wrong = {
        refusals("acme-manila", "10001", "pbx"): "0+30" + HOUR,
        refusals("acme-manila", "10006", "pbx"): "0+3" + HOUR,
        refusals("", "10004", "pbx"): "0+10" + HOUR,
    }
    _judge(tmp_path, WELL | wrong, 60, set())


def test_a_plugin_server_that_is_away_is_an_alert(tmp_path: Path) -> None:
    series = {
        **WELL,
        'up{job="yeastar-adapter", instance="kong:9542"}': "1x30 0x30",
        kong("200"): "0+600x30 18000x30",
        kong("500"): "0x30 0+600x30",
        'yeastar_adapter_orders_forwarded_total{consumer="acme-manila"}': "0+600x30 _x30",
        "yeastar_adapter_orders_accepted_total": "0+600x30 _x30",
        'yeastar_adapter_upstream_answers_total{status="202", code=""}': "0+600x30 _x30",
    }
    _judge(tmp_path, series, 50, {"AdapterDown", "RequestsFailInTheGateway"})


def test_a_plugin_server_that_nobody_has_called_yet_is_none(tmp_path: Path) -> None:
    series = {
        'up{job="yeastar-adapter", instance="kong:9542"}': "0" + HOUR,
        'up{job="kong", instance="kong:8007"}': "1" + HOUR,
        kong("200"): "600" + HOUR,
    }
    _judge(tmp_path, series, 60, set())


def test_errors_of_futuresms_are_its_own(tmp_path: Path) -> None:
    series = {
        **WELL,
        kong("200"): "0+300" + HOUR,
        kong("500"): "0+300" + HOUR,
        "yeastar_adapter_orders_accepted_total": "0+300" + HOUR,
        'yeastar_adapter_upstream_answers_total{status="202", code=""}': "0+300" + HOUR,
        'yeastar_adapter_upstream_answers_total{status="503", code="10007"}': "0+300" + HOUR,
        refusals("acme-manila", "10007", "futuresms"): "0+300" + HOUR,
    }
    _judge(tmp_path, series, 60, {"FutureSMSRefusesMany"})


def test_a_futuresms_that_does_not_answer_is_at_fault_although_the_adapter_never_hears_of_it(
    tmp_path: Path,
) -> None:
    series = {
        **WELL,
        kong("200"): "0" + HOUR,
        kong("500"): "0+600" + HOUR,
        "yeastar_adapter_orders_accepted_total": "0" + HOUR,
        'yeastar_adapter_upstream_answers_total{status="202", code=""}': "0" + HOUR,
    }
    _judge(tmp_path, series, 60, {"FutureSMSRefusesMany", "MessagesAreNotSent"})


def test_a_gateway_that_refuses_for_a_reason_of_its_own_is_at_fault(tmp_path: Path) -> None:
    series = {
        **WELL,
        kong("500"): "0+60" + HOUR,
        refusals("acme-manila", "10007", "gateway"): "0+60" + HOUR,
        "yeastar_adapter_redis_up": "0" + HOUR,
    }
    _judge(tmp_path, series, 60, {"RequestsFailInTheGateway", "CountingWithoutRedis"})


def test_a_node_whose_name_is_gone_is_down(tmp_path: Path) -> None:
    """A stopped container vanishes from the name server, and its series with it."""
    kong = 'up{job="kong", instance="kong:8007", node="kong"}'
    other = {'up{job="kong", instance="kong-postgres:8007", node="kong-postgres"}': "1" + HOUR}
    well = {name: values for name, values in WELL.items() if 'job="kong"' not in name}
    _judge(tmp_path, well | other | {kong: "1x30 _x30"}, 40, {"KongDown"})
    _judge(tmp_path, well | {kong: "1x30 _x30"}, 59, {"KongDown"})
    _judge(tmp_path, well | other | {kong: "1x30 _x5 1x25"}, 40, set())


@pytest.mark.parametrize(
    ("alert", "series"),
    [
        (
            "NoAccessToFutureSMS",
            {
                'yeastar_adapter_session_paused{account="yeastar-gateway", address="futuresms:8080"}': "1"
                + HOUR
            },
        ),
        ("ConsumerCannotSend", {refusals("initech-davao", "10005", "setup"): "0+2" + HOUR}),
        ("SomebodyTriesKeys", {refusals("", "10004", "pbx"): "0+120" + HOUR}),
        ("ConsumerOverItsRate", {refusals("hooli-baguio", "10006", "pbx"): "0+60" + HOUR}),
        ("TokensAreTakenAway", {"yeastar_adapter_tokens_rejected_total": "0+10" + HOUR}),
        ("ConfigurationNotUsable", {"yeastar_adapter_instances_failed_total": "0x55 1x5"}),
        ("ConfigurationNotUsable", {"yeastar_adapter_instances_failed_total": "_x55 2x5"}),
        ("EventsAreLost", {'yeastar_adapter_events_lost_total{how="failed"}': "0+1" + HOUR}),
        ("KongDown", {'up{job="kong", instance="kong:8007"}': "0" + HOUR}),
        (
            "AdapterKeepsRestarting",
            {'process_start_time_seconds{job="yeastar-adapter", instance="kong:9542"}': "100+60" + HOUR},
        ),
    ],
)
def test_each_trouble_has_its_alert(tmp_path: Path, alert: str, series: Series) -> None:
    _judge(tmp_path, WELL | series, 59, {alert})


@pytest.mark.parametrize(
    "values",
    ["_x40 20x20", "_x30 1+1x9 1+1x9 _x10", "100+1x30 1+1x9 _x20", "_x59 20"],
    ids=["all at once", "a restart in between", "from before, and a restart", "just now"],
)
def test_the_tables_of_the_dashboard_count_a_series_that_begins_and_one_that_begins_anew(
    tmp_path: Path, values: str
) -> None:
    [panel] = [one for one in panels(read()) if one.title == "Errors by consumer and code, in the time shown"]
    [target] = panel.targets
    table = Variables(60, 3600, {"consumer": ".*"}).fill_in(target.expression)
    expected = 40 if values.startswith("100") else 20
    labels = '{code="10001", consumer="acme-manila", endpoint="sendmessage", fault="pbx"}'
    question = f"abs({table} - {expected}) <= bool 1.5"
    _ask(tmp_path, {refusals("acme-manila", "10001", "pbx"): values}, [(60, question, {labels: 1})])


KONG_UP = {'up{job="kong", instance="kong:8007"}': "1x2000"}


def reports(outcome: str, status: str, instance: str = "one", counted_in: str = "redis") -> str:
    labels = {
        "consumer": "acme-manila",
        "outcome": outcome,
        "status": status,
        "counted_in": counted_in,
        "instance": instance,
    }
    return f"yeastar_adapter_delivery_reports_total{{{', '.join(f'{k}={json.dumps(v)}' for k, v in labels.items())}}}"


@pytest.mark.parametrize("counted_in", ["redis", "local"])
def test_fewer_messages_that_arrive_are_an_alert(tmp_path: Path, counted_in: str) -> None:
    # A day with 9 of 10 delivered, on two nodes that export one count; then a morning with half of them.
    series = {
        reports(outcome, status, instance, counted_in): f"0+{before}x1500 {before * 1500}+{after}x200"
        for instance in ("one", "two")
        for outcome, status, before, after in (
            ("delivered", "DELIVRD", 9, 5),
            ("undelivered", "UNDELIV", 1, 5),
            ("interim", "ENROUTE", 10, 10),
        )
    }
    _judge_days(tmp_path, KONG_UP | series, {1490: set(), 1600: {"DeliveryRateFalls"}})


def test_no_message_that_arrives_is_an_alert_too(tmp_path: Path) -> None:
    series = {
        reports("delivered", "DELIVRD"): "0+9x1500 13500x200",
        reports("undelivered", "UNDELIV"): "0+1x1500 1500+10x200",
    }
    _judge_days(tmp_path, KONG_UP | series, {1650: {"DeliveryRateFalls"}})


def test_reports_that_stop_are_an_alert(tmp_path: Path) -> None:
    expected = 'yeastar_adapter_delivery_reports_expected_total{consumer="acme-manila"}'
    _judge(
        tmp_path, KONG_UP | {expected: "0+10x200", reports("delivered", "DELIVRD"): "0+10x200"}, 200, set()
    )
    _judge(
        tmp_path,
        KONG_UP | {expected: "0+10x200", reports("delivered", "DELIVRD"): "0+10x60 600x140"},
        170,
        {"DeliveryReportsStop"},
    )
    _judge(tmp_path, KONG_UP | {expected: "0+10x200"}, 170, {"DeliveryReportsStop"})
