"""Each alert of observability/alerts.yml, fired by Prometheus and taken by Alertmanager for the fault it is about.

Rules, faults and metrics are the real ones; only the clock of the rules is faster: every time span in them is divided.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException
from typing import Any

import requests
from ruamel.yaml import YAML

from tests.harness.gateway import wait_until
from tests.harness.pbx import DEMO_KEY, DEMO_KEY_OFF
from tests.harness.stub import PASSWORD, SENDS, USERNAME

from .engine import Project
from .runs import ready, run
from .table import Failed, Row

FASTER = 60
MUCH_FASTER = 360  # of rules that look back a day
SLOW = {"DeliveryRateFalls", "DeliveryReportsStop"}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Fault = Callable[[Project], Any]
FAULTS: dict[str, Fault] = {}
"""Alert → a context manager within which its fault goes on."""


def fault(*alerts: str) -> Callable[[Fault], Fault]:
    def register(function: Fault) -> Fault:
        FAULTS.update(dict.fromkeys(alerts, contextmanager(function)))
        return function

    return register


@run
def alerts(project: Project) -> list[Row]:
    # For five minutes Prometheus goes by the last that it has seen of a node: here, of one of the run before.
    project.down()
    _hasten(project)
    ready(project)
    project.up("prometheus", "alertmanager", profile="observability")
    rules = YAML(typ="safe").load(project.directory / "observability/alerts.yml")
    names = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    rows, silent = [], []
    with _messages(project, rate=4):
        for name in names:
            row = Row(f"alert {name}")
            try:
                _fire(project, name, row)
            except AssertionError as problem:
                silent.append(name)
                row.seen = f"FAILED: {str(problem)[:150]}"
                ready(project)
                project.stub.reset()
            rows.append(row)
            print(" | ".join(row.cells()), flush=True)
    if silent:
        raise Failed(f"{', '.join(silent)} did not fire, or did not end", rows)
    return rows


def _fire(project: Project, name: str, row: Row) -> None:
    wait_until(lambda: name not in _firing(project), 120, f"{name} has ended")
    started = time.monotonic()
    with FAULTS[name](project):
        wait_until(lambda: name in _firing(project), 120 if name not in SLOW else 420, f"{name} fires")
        fired = time.monotonic() - started
    ended = time.monotonic()
    ready(project)
    wait_until(lambda: name not in _firing(project), 120, f"{name} ends")
    over = time.monotonic() - ended
    about = (FAULTS[name].__doc__ or "").strip().rstrip(".")
    row.seen = f"{about}: fired after {fired:.0f} s, over {over:.0f} s after the fault"


def _firing(project: Project) -> set[str]:
    """What Alertmanager has and Prometheus still says."""
    prometheus, alertmanager = project.url("PROMETHEUS_PORT"), project.url("ALERTMANAGER_PORT")
    on = requests.get(f"{prometheus}/api/v1/alerts", timeout=30).json()["data"]["alerts"]
    taken = {
        alert["labels"]["alertname"]
        for alert in requests.get(f"{alertmanager}/api/v2/alerts", timeout=30).json()
    }
    return {alert["labels"]["alertname"] for alert in on if alert["state"] == "firing"} & taken


def _hasten(project: Project) -> None:
    path = project.directory / "observability/alerts.yml"
    text = path.read_text()
    if "ms" in re.findall(r"for: \d+(\w+)", text):
        return

    def divided(match: re.Match[str], by: int) -> str:
        return f"{match[1]}{int(int(match[2]) * SECONDS[match[3]] * 1000 / by)}ms{match[4]}"

    parts = re.split(r"(?=^      - alert: )", text, flags=re.MULTILINE)
    for number, part in enumerate(parts):
        named = re.search(r"- alert: (\w+)", part)
        by = MUCH_FASTER if named and named[1] in SLOW else FASTER
        spans = r"(\[|for: |offset )(\d+)([smhd])(\]|\b)"
        parts[number] = re.sub(spans, lambda match, by=by: divided(match, by), part)  # type: ignore[misc]
    project.write("observability/alerts.yml", "".join(parts))
    project.edit(
        "observability/prometheus.yml",
        (r"(scrape|evaluation|refresh)_interval: 15s", r"\1_interval: 1s"),
        (r"^global:", "global:\n  scrape_timeout: 1s"),
    )


@contextmanager
def _messages(project: Project, rate: float, key: str = DEMO_KEY, at_once: int = 1) -> Iterator[None]:
    """Messages meanwhile, whatever becomes of them."""
    stop = threading.Event()
    pbx = project.pbx(key=key)

    def send() -> None:
        while not stop.wait(at_once / rate):
            with suppress(OSError, HTTPException):
                pbx.request(
                    "POST",
                    "/api/v1/integration/yeastar/sms/sendmessage",
                    headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
                    body=b'{"from": "+63280000001", "to": "+639171234567", "text": "hello"}',
                    checked=False,
                )

    threads = [threading.Thread(target=send, daemon=True) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def _inside(project: Project, program: str) -> str:
    python = "/opt/yeastar-adapter/bin/python"
    return project.compose("exec", "-T", "kong", python, "-c", program).stdout


def _signal_plugin_server(project: Project, name: str) -> None:
    _inside(
        project,
        f"""
import os, pathlib, signal
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    words = path.read_bytes().split(b"\\0")
    if any(word.endswith(b"bin/yeastar-adapter") for word in words):
        os.kill(int(path.parent.name), signal.{name})
""",
    )


@contextmanager
def _configuration(project: Project, *changes: tuple[str, str]) -> Iterator[None]:
    """Another configuration in force meanwhile, past every check."""
    whole = (project.directory / "kong.yml").read_text()
    text = whole
    for pattern, by in changes:
        text, count = re.subn(pattern, by, text, flags=re.MULTILINE)
        assert count, pattern
    admin = f"{project.url('ADMIN_PORT')}/config"
    answer = requests.post(admin, json={"config": text}, timeout=60)
    assert answer.status_code == 201, answer.text
    try:
        yield
    finally:
        requests.post(admin, json={"config": whole}, timeout=60)


# --- the faults ------------------------------------------------------------------------------------------------------


@fault("MessagesAreNotSent")
def _(project: Project) -> Iterator[None]:
    """FutureSMS answers every order with 503"""
    project.stub.behave(path=SENDS, status=503, times=100_000)
    yield
    project.stub.behave_well()


@fault("FutureSMSRefusesMany")
def _(project: Project) -> Iterator[None]:
    """FutureSMS drops the connection of every second order"""
    with _repeated(lambda: project.stub.behave(path=SENDS, drop_connection=True, times=1), 0.5):
        yield
    project.stub.behave_well()


@fault("NoAccessToFutureSMS")
def _(project: Project) -> Iterator[None]:
    """the account's password was changed"""
    project.stub.merchant(USERNAME, password="another")
    project.stub.revoke_tokens()
    yield
    project.stub.merchant(USERNAME, password=PASSWORD)


@fault("AdapterDown", "RequestsFailInTheGateway")
def _(project: Project) -> Iterator[None]:
    """the plugin server hangs (SIGSTOP)"""
    with _messages(project, rate=20, at_once=10):
        _signal_plugin_server(project, "SIGSTOP")
        try:
            yield
        finally:
            _signal_plugin_server(project, "SIGCONT")


@fault("KongDown")
def _(project: Project) -> Iterator[None]:
    """Kong's container is gone"""
    project.compose("rm", "--stop", "--force", "kong")
    yield


@fault("ConsumerCannotSend")
def _(project: Project) -> Iterator[None]:
    """a PBX that is switched off sends"""
    with _messages(project, rate=4, key=DEMO_KEY_OFF):
        yield


@fault("ConfigurationNotUsable")
def _(project: Project) -> Iterator[None]:
    """two consumers have one key, put in force past the check"""
    [first, second] = re.findall(r"sha256:\w{64}", (project.directory / "kong.yml").read_text())
    with _configuration(project, (second, first)):
        yield


@fault("CountingWithoutRedis")
def _(project: Project) -> Iterator[None]:
    """Redis is stopped"""
    project.compose("stop", "redis")
    yield
    project.compose("start", "redis")


@fault("SomebodyTriesKeys")
def _(project: Project) -> Iterator[None]:
    """somebody tries keys"""
    with _messages(project, rate=10, key="guessed-0123456789abcdef0123"):
        yield


@fault("ConsumerOverItsRate")
def _(project: Project) -> Iterator[None]:
    """a PBX sends more than its limit"""
    with (
        _configuration(project, (r"second: \d+", "second: 2"), (r"minute: \d+", "minute: 120")),
        _messages(project, rate=40, at_once=20),
    ):
        yield


@fault("TokensAreTakenAway")
def _(project: Project) -> Iterator[None]:
    """FutureSMS revokes the tokens again and again"""
    with _repeated(project.stub.revoke_tokens, 1):
        yield


@fault("EventsAreLost")
def _(project: Project) -> Iterator[None]:
    """the plugin server hangs for longer than Kong waits, again and again"""
    with _messages(project, rate=20, at_once=10), _repeated(lambda: _hang(project), 0.2):
        yield


def _hang(project: Project) -> None:
    _signal_plugin_server(project, "SIGSTOP")
    time.sleep(6)  # Kong gives up after 5 s
    _signal_plugin_server(project, "SIGCONT")


@fault("AdapterKeepsRestarting")
def _(project: Project) -> Iterator[None]:
    """the plugin server is killed again and again"""
    with _repeated(lambda: _signal_plugin_server(project, "SIGKILL"), 4):
        yield


@fault("DeliveryRateFalls")
def _(project: Project) -> Iterator[None]:
    """after a day of delivered messages, hardly one arrives"""
    with _reports(project), _messages(project, rate=40, at_once=8):
        wait_until(_after(300), 400, "a day that went well")
        project.stub.report(**REPORTS, statuses={str(digit): "UNDELIV" for digit in range(10)})
        yield
    project.stub.reset()


@fault("DeliveryReportsStop")
def _(project: Project) -> Iterator[None]:
    """FutureSMS reports no more"""
    with _reports(project), _messages(project, rate=20, at_once=4):
        wait_until(_after(15), 60, "some reports")
        project.stub.report(**REPORTS, statuses={str(digit): None for digit in range(10)})
        yield
    project.stub.reset()


REPORTS = {"https_only": False, "allow_private": True, "charge_ms": 0, "delay_ms": 0}


@contextmanager
def _reports(project: Project) -> Iterator[None]:
    """Delivery reports, by a second route."""
    project.stub.reset()
    project.stub.report(**REPORTS)
    configuration = YAML(typ="safe").load(project.directory / "kong.yml")
    [service] = configuration["services"]
    [route] = service["routes"]
    for plugin in route["plugins"]:
        if plugin["name"] == "yeastar-adapter":
            secret = "9f1c2e3d4b5a69788796a5b4c3d2e1f0"
            plugin["config"]["delivery_reports"] = {
                "enabled": True,
                "public_url": "http://kong:8000",
                "secret": secret,
            }
    service["routes"].append(
        route | {"name": "reports", "paths": ["~/api/v1/integration/yeastar/sms/reports/"]}
    )
    with ExitStack() as stack:
        whole = (project.directory / "kong.yml").read_text()
        admin = f"{project.url('ADMIN_PORT')}/config"
        stack.callback(requests.post, admin, json={"config": whole}, timeout=60)
        answer = requests.post(admin, json=configuration, timeout=60)
        assert answer.status_code == 201, answer.text
        yield


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


@contextmanager
def _repeated(action: Callable[[], object], seconds: float) -> Iterator[None]:
    """Do it again and again meanwhile."""
    stop = threading.Event()
    failed: list[Exception] = []

    def again() -> None:
        while True:
            try:
                action()
            except Exception as problem:  # noqa: BLE001  raised below
                failed.append(problem)
                return
            if stop.wait(seconds):
                return

    thread = threading.Thread(target=again, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
    if failed:
        raise AssertionError(f"the fault could not be made: {failed[0]}")
