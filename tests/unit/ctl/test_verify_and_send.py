"""`yeastarctl verify` and `send`, against small servers and against nobody."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from yeastar_adapter.yeastar.errors import CATALOGUE, Error
from yeastarctl.catalogue import EXPLANATIONS
from yeastarctl.latency import summary
from yeastarctl.send import is_loopback

from tests.unit.ctl.conftest import KEY, AnsweringServer, Cli, refusal

Answering = Callable[..., AnsweringServer]
MESSAGE = ("--from", "+63280000001", "--to", "+639171234567", "--text", "Hello")


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{reserved.getsockname()[1]}"


def test_verify_asks_as_the_pbx_does(cli: Cli, answering: Answering) -> None:
    server = answering(200, {"data": {"status": "ok"}})
    result = cli("verify", "--url", server.url, "--key", KEY)
    assert result.exit_code == 0
    assert "accepts the key" in result.output
    ((method, path, headers, _),) = server.requests
    assert (method, path) == ("GET", "/api/v1/integration/yeastar/sms/verify")
    assert headers["Authorization"] == f"Bearer {KEY}"


def test_the_key_may_come_from_the_environment(cli: Cli, answering: Answering) -> None:
    server = answering(200, {"data": {"status": "ok"}})
    result = cli("verify", env={"YEASTARCTL_URL": server.url, "YEASTARCTL_KEY": KEY})
    assert result.exit_code == 0
    assert server.requests[0][2]["Authorization"] == f"Bearer {KEY}"


def test_without_a_key_and_a_terminal_the_call_is_wrong(cli: Cli, nobody: str) -> None:
    result = cli("verify", "--url", nobody)
    assert result.exit_code == 2
    assert "YEASTARCTL_KEY" in result.output


@pytest.mark.parametrize("key", ["", "  ", "schlüssel", "two\nlines"])
def test_a_key_that_no_header_can_carry_is_a_wrong_call(cli: Cli, nobody: str, key: str) -> None:
    assert cli("verify", "--url", nobody, "--key", key).exit_code == 2


@pytest.mark.parametrize(
    "url", ["gateway", "ftp://x", "https://", "https://user:secret@gateway", "https://x/?a=b"]
)
def test_an_address_that_is_none_is_a_wrong_call(cli: Cli, url: str) -> None:
    assert cli("verify", "--url", url, "--key", KEY).exit_code == 2


def test_the_send_url_of_the_pbx_does_as_an_address(cli: Cli, answering: Answering) -> None:
    server = answering(200, {"data": {"status": "ok"}})
    cli("verify", "--url", f"{server.url}/api/v1/integration/yeastar/sms/sendmessage", "--key", KEY)
    assert server.requests[0][1] == "/api/v1/integration/yeastar/sms/verify"


@pytest.mark.parametrize("command", [("verify",), ("send", *MESSAGE)])
def test_nobody_at_the_address_is_status_3_with_the_reason(
    cli: Cli, nobody: str, command: tuple[str, ...]
) -> None:
    result = cli(*command, "--url", nobody, "--key", KEY)
    assert result.exit_code == 3
    assert "Connection refused" in result.output
    told = json.loads(cli(*command, "--url", nobody, "--key", KEY, "--json").stdout)
    assert told["ok"] is False
    assert "refused" in told["unreachable"]


def test_a_gateway_that_says_nothing_is_status_3_after_the_time_limit(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        result = cli("verify", "--url", url, "--key", KEY, "--timeout", "0.2")
    assert result.exit_code == 3
    assert "time limit" in result.output


@pytest.mark.parametrize("error", CATALOGUE, ids=lambda error: error.code)
def test_every_code_is_explained_in_words(cli: Cli, answering: Answering, error: Error) -> None:
    server = answering(error.status, refusal(error.code, error.title))
    result = cli("send", *MESSAGE, "--url", server.url, "--key", KEY)
    assert result.exit_code == 1
    assert f"{error.code} {error.title}" in result.output
    explanation = EXPLANATIONS[error.code]
    assert explanation.seen in result.output
    for cause in explanation.causes:
        assert cause.what in result.output
        assert cause.look in result.output
    told = json.loads(cli("send", *MESSAGE, "--url", server.url, "--key", KEY, "--json").stdout)
    assert (told["code"], told["ok"]) == (error.code, False)
    assert told["causes"][0]["what"] == explanation.causes[0].what


def test_the_catalogue_explains_the_codes_that_there_are_and_no_others() -> None:
    assert list(EXPLANATIONS) == [error.code for error in CATALOGUE]


def test_an_answer_that_is_not_yeastar_s_is_called_so(cli: Cli, answering: Answering) -> None:
    server = answering(404, b"<html>not here</html>", headers={"Server": "nginx/1.25"})
    result = cli("verify", "--url", server.url, "--key", KEY)
    assert result.exit_code == 1
    assert "not in Yeastar's form" in result.output
    assert "not here" in result.output


def test_the_detail_and_the_waiting_time_are_shown(cli: Cli, answering: Answering) -> None:
    server = answering(
        400, refusal("10001", "Invalid phone number", "'to' is not a valid E.164 phone number")
    )
    assert "'to' is not a valid E.164" in cli("send", *MESSAGE, "--url", server.url, "--key", KEY).output
    server = answering(429, refusal("10006", "Too many requests"), headers={"Retry-After": "17"})
    assert "17 s" in cli("send", *MESSAGE, "--url", server.url, "--key", KEY).output


def test_the_request_s_id_is_shown_to_find_it_in_the_log(cli: Cli, answering: Answering) -> None:
    server = answering(403, refusal("10005", "No permission"), headers={"X-Kong-Request-Id": "6f1e0e"})
    call = ("verify", "--url", server.url, "--key", KEY)
    assert "request_id=6f1e0e" in cli(*call).output
    assert json.loads(cli(*call, "--json").stdout)["request_id"] == "6f1e0e"


def test_a_sent_message_is_the_contract_s_and_its_order_is_shown(cli: Cli, answering: Answering) -> None:
    server = answering(200, {"data": {"id": "SDPS260325103012A1B2C3D"}})
    result = cli("send", *MESSAGE, "--url", server.url, "--key", KEY)
    assert result.exit_code == 0
    assert "SDPS260325103012A1B2C3D" in result.output
    ((method, path, _, body),) = server.requests
    assert (method, path) == ("POST", "/api/v1/integration/yeastar/sms/sendmessage")
    assert json.loads(body) == {"from": "+63280000001", "to": "+639171234567", "text": "Hello"}


def test_a_200_without_an_order_is_no_success(cli: Cli, answering: Answering) -> None:
    server = answering(200, {"data": {}})
    assert cli("send", *MESSAGE, "--url", server.url, "--key", KEY).exit_code == 1


def test_many_messages_are_summed_up(cli: Cli, answering: Answering) -> None:
    lock, orders = threading.Lock(), iter(range(1000))

    def answer(_: Any) -> tuple[int, dict[str, str], bytes]:
        with lock:
            order = next(orders)
        if order % 5 == 4:
            return 429, {"Retry-After": "1"}, json.dumps(refusal("10006", "Too many requests")).encode()
        return 200, {}, json.dumps({"data": {"id": f"SDPS{order:04}"}}).encode()

    server = answering(answer)
    call = ("send", *MESSAGE, "--url", server.url, "--key", KEY, "--count", 20, "--rate", 1000)
    result = cli(*call)
    assert result.exit_code == 1
    assert "16 of 20 messages accepted" in result.output
    assert "429 10006" in result.output
    assert "p95" in result.output
    told = json.loads(cli(*call, "--json").stdout)
    assert (told["sent"], told["accepted"], told["answers"]) == (20, 16, {"200": 16, "429 10006": 4})
    assert set(told["latency_ms"]) == {"min", "p50", "p95", "p99", "max"}
    assert len(server.requests) == 40


def test_there_are_never_more_messages_under_way_than_connections(cli: Cli, answering: Answering) -> None:
    lock, together = threading.Barrier(3), threading.Lock()
    running, most = 0, 0

    def answer(_: Any) -> tuple[int, dict[str, str], bytes]:
        nonlocal running, most
        with together:
            running += 1
            most = max(most, running)
        lock.wait(timeout=20)
        with together:
            running -= 1
        return 200, {}, json.dumps({"data": {"id": "SDPS1"}}).encode()

    server = answering(answer)
    result = cli(
        "send", *MESSAGE, "--url", server.url, "--key", KEY, "--count", 9, "--rate", 1000, "--connections", 3
    )
    assert result.exit_code == 0, result.output
    assert most == 3


def test_a_volley_into_the_void_stops_early(cli: Cli, nobody: str) -> None:
    call = (
        "send",
        *MESSAGE,
        "--url",
        nobody,
        "--key",
        KEY,
        "--count",
        500,
        "--rate",
        10_000,
        "--connections",
        2,
    )
    told = json.loads(cli(*call, "--json").stdout)
    assert told["sent"] < 10
    assert cli(*call).exit_code == 3


def test_several_messages_to_another_machine_need_a_yes(cli: Cli) -> None:
    result = cli("send", *MESSAGE, "--url", "https://sms.example.invalid", "--key", KEY, "--count", 2)
    assert result.exit_code == 2
    assert "--yes" in result.output


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://[::1]:8000", True),
        ("http://localhost", True),
        ("http://10.0.0.1", False),
        ("https://localhost.example.com", False),
    ],
)
def test_loopback_is_this_machine_only(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_latencies_are_the_nearest_ranks_in_milliseconds() -> None:
    assert summary(n / 1000 for n in range(1, 101)) == {"min": 1, "p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert summary([0.0021]) == {"min": 2.1, "p50": 2.1, "p95": 2.1, "p99": 2.1, "max": 2.1}
    assert summary([]) == {}


def test_no_colour_where_no_terminal_reads(cli: Cli, answering: Answering) -> None:
    server = answering(401, refusal("10004", "Authentication failed"))
    assert "\x1b[" not in cli("verify", "--url", server.url, "--key", KEY).output
