"""The plugin raising anywhere: each PDK call, and each line of its own that a request passes.

Every request is answered 500/10007 in form, no order goes out of a request that failed on its way, no event stays
open, and the next request is served.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from yeastar_adapter.handler import SPEC

from kong.embedded.child import Child
from tests.fuzz.cases import LONG
from tests.harness.faults import PluginServer
from tests.harness.gateway import ROOT
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import Answer, Pbx, violations
from tests.harness.reader import NONCE, answered, left
from tests.harness.redis import RedisServer
from tests.harness.stub import PASSWORD, USERNAME, StubServer
from tests.unit.plugin_server.rpc_client import Worker

NAME = "yeastar-adapter"
KEY = "ystr_test_acme_manila_0123456789"
BASE = "/api/v1/integration/yeastar/sms"
CONSUMER = {"id": "f70c4878", "username": "acme-manila"}
MESSAGE = json.dumps({"from": "+63280000001", "to": "+639171234567", "text": "x"})


@dataclass
class Request:
    """Kong's side of one request: what it answers to PDK calls, by their names."""

    line: str = f"POST {BASE}/sendmessage HTTP/1.1"
    key: str = KEY
    body: str = MESSAGE
    reader: bool = True
    status: int = 202
    upstream: bytes = b'{"data": {"order_id": "SDPS1"}}'
    calls: list[str] = field(default_factory=list)
    """The PDK calls so far, without `kong.`."""
    decision: dict[str, Any] | None = None
    """What was left for the guard."""

    def value(self, method: str, arguments: list[Any]) -> Any:
        name = method.removeprefix("kong.")
        self.calls.append(name)
        if name == "yeastar.forward":
            names = ("interface", "nonce", "path", "token", "body")
            self.decision = dict(zip(names, arguments, strict=False))
        return {
            "ctx.shared.get": self._left() if self.reader else None,
            "yeastar.upstream_answer": self._answer(),
            "yeastar.load_consumer": {"consumer": CONSUMER},
        }.get(name)

    def _left(self) -> dict[str, Any]:
        known = {"consumer": CONSUMER, "credential": True}
        return left(self.line, self.body.encode(), self.key, **known)

    def _answer(self) -> dict[str, Any]:
        order = self.decision or {}
        token, body = order.get("token", ""), order.get("body", b"{}")
        return answered(self.status, self.upstream, json.loads(body), token=token)

    @property
    def forwarded(self) -> bool:
        return self.decision is not None


@dataclass(frozen=True)
class Adapter(PluginServer):
    """A plugin server whose plugin raises when told to."""

    prefix: Path
    config: dict[str, Any]
    redis: dict[str, Any]

    def changed(self, changes: dict[str, Any], number: int) -> dict[str, Any]:
        """The configuration with changes; `COUNTED_IN_REDIS` with a link to Redis of its own for each number."""
        config = {**self.config, **changes}
        if changes is COUNTED_IN_REDIS:
            config["rate_limit"] = {
                **config["rate_limit"],
                "redis": {**self.redis, "timeout_ms": 2000 + number},
            }
        return config

    def raise_at(self, phase: str, at: int, what: str = "Unforeseen") -> None:
        (self.prefix / "raised").unlink(missing_ok=True)
        (self.prefix / "raise.json").write_text(json.dumps({"phase": phase, "at": at, "what": what}))

    def raised(self) -> str | None:
        """The line that was not carried out; None if the request was over before."""
        place = self.prefix / "raised"
        return place.read_text() if place.exists() else None

    def behave(self) -> None:
        (self.prefix / "raise.json").unlink(missing_ok=True)

    def run(
        self, worker: Worker, instance: int, phase: str, request: Request, failing: int = 0
    ) -> Answer | None:
        """One phase of a request; the PDK call of that number fails. The plugin's own answer, if it gives one."""
        answer = worker.begin(instance, phase)
        while answer["Data"] != "ret":
            method, arguments = answer["Data"]["Method"], answer["Data"]["Args"]
            if method == "kong.response.exit":
                status, body, headers = arguments
                lower = {name.lower(): value for name, value in headers.items()}
                signature = lower.pop("x-yeastar-adapter", None)
                # The plugin server's own answer is not signed; the guard gives it the same form.
                assert signature == NONCE or status == 500
                found = Answer(status, lower, body.encode(), json.loads(body))
                assert violations(found) == []
                return found
            value = request.value(method, arguments)
            if method in SPEC.last_calls:
                return None
            if len(request.calls) == failing:
                answer = worker.step(answer, "this call fails", "plugin.StepError")
            else:
                answer = worker.step(answer, value)
        return None


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[Adapter]:
    directory = tmp_path_factory.mktemp("raising")
    futuresms = StubServer(directory)
    with tempfile.TemporaryDirectory(prefix="kong-") as prefix:
        command = [sys.executable, ROOT / "tests/faults/raising_adapter.py", "-p", prefix]
        child = Child("raising", command, log=directory / "log", directory=ROOT)
        child.wait_for("serves at", 30)
        config = {
            "route_id": "fd579e05",
            "consumers": [{"username": "acme-manila", "api_keys": [KEY], "enabled": True}],
            "order": {"template_id": "TPL1001", "sender_id": "SID-1"},
            "merchant": {
                "username": USERNAME,
                "password": PASSWORD,
                "base_url": futuresms.url,
                "timeout_ms": 3000,
            },
            "rate_limit": {"policy": "local", "day": 1_000_000_000},
            "log": {"level": "debug"},
        }
        redis = redis_server.settings()
        yield Adapter(child.pid, str(Path(prefix) / f"{NAME}.socket"), Path(prefix), config, redis)
        assert child.stop() == 0
    futuresms.stop()


STEP = 1 if LONG else 7
"""Every line in the long form, every seventh in the short one."""

COUNTED_IN_REDIS = {"rate_limit": {"policy": "redis", "fault_tolerant": True, "day": 10**6}}

ACCESS: dict[str, tuple[Callable[[], Request], dict[str, Any]]] = {
    "a message": (Request, {}),
    "a message, counted in Redis": (Request, COUNTED_IN_REDIS),
    "a request without the reader": (lambda: Request(reader=False), {}),
    "a message that tells its quota": (
        Request,
        {"rate_limit": {"policy": "local", "day": 10**6, "hide_client_headers": False}},
    ),
    "a message of a consumer of Kong's": (Request, {"authentication": "kong"}),
    "a verify": (lambda: Request(line=f"GET {BASE}/verify HTTP/1.1"), {}),
    "an unknown key": (lambda: Request(key="nobody"), {}),
    "a message that is none": (lambda: Request(body='{"from": 1}'), {}),
    "a message over the limit": (Request, {"rate_limit": {"policy": "local", "day": 1}}),
}
RESPONSES: dict[str, Callable[[], Request]] = {
    "an order": Request,
    "a refusal": lambda: Request(
        status=422, upstream=b'{"error_code": "VALIDATION_ERROR", "details": "phone_number"}'
    ),
    "too many": lambda: Request(status=429, upstream=b"{}"),
    "a rejected token": lambda: Request(status=401, upstream=b"{}"),
}

# The limiter counts in this process when Redis, or its own way to it, fails; a line that cannot be logged is lost.
# Connections that nobody uses are closed beside the requests, by a timer.
_TOLERANT = ("limits/", "observability/logs.py", "futuresms/connections.py", "futuresms/timer.py")


def _serves(adapter: Adapter, worker: Worker, instance: int) -> None:
    adapter.behave()
    request = Request()
    assert adapter.run(worker, instance, "access", request) is None
    assert request.forwarded
    assert adapter.open_events() == 0


def _judge(answer: Answer | None, request: Request, usual: Answer | None, place: str) -> None:
    if answer is None:
        assert place.startswith(_TOLERANT), place
        assert usual is None
        assert request.forwarded
    elif answer.code != "10007":
        # It was raised where it changes nothing, or where it is caught for a reason.
        assert usual is not None, place
        assert (answer.status, answer.code) == (usual.status, usual.code), place


@pytest.mark.parametrize("name", ACCESS)
def test_any_line_of_the_way_in_may_raise(adapter: Adapter, name: str) -> None:
    make, changes = ACCESS[name]
    with adapter_worker(adapter) as worker:
        standing = worker.start(adapter.config, NAME)
        _serves(adapter, worker, standing)
        usual_instance = worker.start(adapter.changed(changes, 0), NAME)
        if name == "a message over the limit":
            adapter.run(worker, usual_instance, "access", make())
        usual = adapter.run(worker, usual_instance, "access", make())
        lines = -STEP + 1
        while True:
            lines += STEP
            instance = worker.start(adapter.changed(changes, lines), NAME)
            adapter.raise_at("access", lines)
            request = make()
            answer = adapter.run(worker, instance, "access", request)
            place = adapter.raised()
            if place is None:
                break
            _judge(answer, request, usual, place)
            _serves(adapter, worker, standing)
            if "limit" not in name:
                _serves(adapter, worker, instance)
            worker.call("plugin.CloseInstance", instance)
    assert lines > 20


@pytest.mark.parametrize("name", RESPONSES)
def test_any_line_of_the_way_out_may_raise(adapter: Adapter, name: str) -> None:
    with adapter_worker(adapter) as worker:
        instance = worker.start(adapter.config, NAME)
        adapter.behave()
        usual = adapter.run(worker, instance, "response", _on_its_way(adapter, worker, instance, name))
        lines = -STEP + 1
        while True:
            lines += STEP
            request = _on_its_way(adapter, worker, instance, name)
            adapter.raise_at("response", lines)
            answer = adapter.run(worker, instance, "response", request)
            place = adapter.raised()
            if place is None:
                break
            assert answer is not None, place
            _judge(answer, request, usual, place)
            _serves(adapter, worker, instance)
    assert lines > 10


def _on_its_way(adapter: Adapter, worker: Worker, instance: int, name: str) -> Request:
    """A request whose order Kong has proxied."""
    request = RESPONSES[name]()
    adapter.behave()
    assert adapter.run(worker, instance, "access", request) is None
    return request


@pytest.mark.parametrize("name", [*ACCESS, *(f"the response to {name}" for name in RESPONSES)])
def test_any_pdk_call_may_fail(adapter: Adapter, name: str) -> None:
    with adapter_worker(adapter) as worker:
        standing = worker.start(adapter.config, NAME)
        number = 0
        while True:
            number += 1
            adapter.behave()
            if name in ACCESS:
                make, changes = ACCESS[name]
                phase, instance, request = (
                    "access",
                    worker.start(adapter.changed(changes, number), NAME),
                    make(),
                )
            else:
                phase, instance = "response", standing
                request = _on_its_way(adapter, worker, instance, name.removeprefix("the response to "))
                request.calls.clear()
            answer = adapter.run(worker, instance, phase, request, failing=number)
            if len(request.calls) < number or f"kong.{request.calls[-1]}" in SPEC.last_calls:
                break  # nobody is told of a last call that fails: Kong ends the request
            assert answer is not None
            assert answer.code == "10007"
            _serves(adapter, worker, standing)
    assert number > 1


@pytest.mark.parametrize(
    "what",
    ["MemoryError", "RecursionError", "SystemExit", "KeyboardInterrupt", "GreenletExit", "Timeout", "BaseException",
     "OSError", "TimeoutError", "StopIteration", "UnicodeError", "AssertionError"],
)  # fmt: skip
def test_whatever_is_raised_is_answered(adapter: Adapter, what: str) -> None:
    with adapter_worker(adapter) as worker:
        standing = worker.start(adapter.config, NAME)
        _serves(adapter, worker, standing)
        for at in range(5, 1000, 11):
            adapter.raise_at("access", at, what)
            request = Request()
            answer = adapter.run(worker, standing, "access", request)
            place = adapter.raised()
            if place is None:
                break
            if answer is None:
                assert place.startswith(_TOLERANT), place
            else:
                # The parser gives up on what its own exceptions are, and an iteration on what ends one.
                assert answer.code == "10007" or place.startswith(
                    ("yeastar/message.py", "yeastar/text.py")
                ), place
            _serves(adapter, worker, standing)
        assert at > 30


def adapter_worker(adapter: Adapter) -> Worker:
    return Worker(adapter.socket)


def test_a_pbx_is_told_10007_and_nothing_was_sent(
    start_gateway: Any, kong_yml: KongYml, stub: StubServer, pbx_at: Callable[..., Pbx]
) -> None:
    """The same through a gateway: Kong, reader and guard do what the plugin's error response expects of them."""
    kong_yml.limit(day=1_000_000)
    gateway = start_gateway(
        kong_yml, plugin_command=f"{sys.executable} {ROOT / 'tests/faults/raising_adapter.py'}", workers=1
    )
    pbx = pbx_at(gateway.proxy_url)
    assert pbx.send().status == 200
    orders = 1
    for phase in ("access", "response"):
        for at in range(1, 1000, 9):
            (gateway.prefix / "raise.json").write_text(json.dumps({"phase": phase, "at": at}))
            answer = pbx.send()
            place = gateway.prefix / "raised"
            if not place.exists():
                break
            where = place.read_text()
            place.unlink()
            assert answer.code == "10007" or where.startswith(_TOLERANT) or phase == "response", where
            orders += phase == "response" or answer.status == 200
            assert len(stub.orders()) == orders
        assert at > 10
        orders += 1
    (gateway.prefix / "raise.json").unlink()
    assert pbx.send().status == 200
