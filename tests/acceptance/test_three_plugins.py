"""Reader, adapter and guard together: with each of them missing or off, and with other plugins beside and between.

Whatever is missing: no order without a decision of the adapter, nothing of the PBX at FutureSMS, and Yeastar's form for
every answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.harness.gateway import Gateway
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import DEMO_KEY, Pbx
from tests.harness.stub import LOGIN, StubClient

READER, ADAPTER, GUARD = "yeastar-reader", "yeastar-adapter", "yeastar-guard"
THREE = (READER, ADAPTER, GUARD)

TEXT = "a text that nobody else may read"
TO = "+639178675309"
TELLTALE = {"User-Agent": "Yeastar-P570", "Via": "1.1 pbx.acme.example", "X-Pbx-Serial": "36524FA0"}


def plugins(kong_yml: KongYml) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kong_yml.service["routes"][0]["plugins"]
    return found


def remove(kong_yml: KongYml, names: Iterable[str]) -> None:
    plugins(kong_yml)[:] = [plugin for plugin in plugins(kong_yml) if plugin["name"] not in names]


def switch_off(kong_yml: KongYml, names: Iterable[str]) -> None:
    for plugin in plugins(kong_yml):
        if plugin["name"] in names:
            plugin["enabled"] = False


def nothing_of_the_pbx(stub: StubClient) -> None:
    """Nothing that FutureSMS has received came from the PBX."""
    told = json.dumps([one for one in stub.requests() if one["path"] != LOGIN])
    for secret in (DEMO_KEY, TEXT, TO, *TELLTALE.values()):
        assert secret not in told


MISSING = [
    (READER,),
    (GUARD,),
    (ADAPTER,),
    (READER, GUARD),
    (ADAPTER, GUARD),
    (READER, ADAPTER),
]


@pytest.mark.parametrize("how", [remove, switch_off], ids=["missing", "switched off"])
@pytest.mark.parametrize("names", MISSING, ids="+".join)
def test_without_one_of_the_three_a_message_is_10007(
    gateway: Gateway,
    kong_yml: KongYml,
    pbx: Pbx,
    stub: StubClient,
    names: tuple[str, ...],
    how: Callable[[KongYml, Iterable[str]], None],
) -> None:
    how(kong_yml, names)
    gateway.load(kong_yml)
    assert pbx.send(to=TO, text=TEXT, headers=TELLTALE).code == "10007"
    assert pbx.verify().code in (None, "10007")
    assert stub.orders() == []
    nothing_of_the_pbx(stub)


@pytest.mark.parametrize("names", MISSING, ids="+".join)
def test_without_one_of_the_three_a_stranger_gets_no_further(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient, names: tuple[str, ...]
) -> None:
    remove(kong_yml, names)
    gateway.load(kong_yml)
    assert pbx.send(key="ystr_nobody_0123456789abcdef").code in ("10004", "10007")
    assert pbx.send(key=None).code in ("10004", "10007")
    assert stub.orders() == []


def test_all_three_on_the_service_instead_of_the_route(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    kong_yml.service["plugins"] = [plugin for plugin in plugins(kong_yml) if plugin["name"] in THREE]
    remove(kong_yml, THREE)
    gateway.load(kong_yml)
    assert pbx.send(to=TO, text=TEXT, headers=TELLTALE).status == 200
    [order] = stub.orders()
    assert (order["phone_number"], order["var"]) == (TO, TEXT)


def test_futuresms_learns_nothing_of_the_pbx_but_the_message(pbx: Pbx, stub: StubClient) -> None:
    told = {
        **TELLTALE,
        "X-Forwarded-For": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
        "Cookie": "pbx=1",
        "Referer": "https://pbx.acme.example/",
        "Proxy-Authorization": "Basic cGJ4OnBieA==",
        "TE": "trailers",
    }
    assert pbx.send(headers=told).status == 200
    submitted = stub.requests("/api/v1/sms/sends")[0]
    allowed = {
        "host",
        "connection",
        "content-length",
        "content-type",
        "authorization",
        "accept",
        "accept-encoding",
        # Kong's nginx adds these after all plugins.
        "x-real-ip",
        "x-kong-request-id",
    }
    assert set(submitted["headers"]) <= allowed
    for value in told.values():
        assert value not in json.dumps(submitted["headers"])


FORGERY = """
local shared = kong.ctx.shared
local request = shared.yeastar_request or {}
local nonce = (%s)
local body = '{"phone_number": "+639170000001", "var": "forged"}'
shared.yeastar_decision = { interface = 1, nonce = nonce, path = "/api/v1/sms/sends", token = "t", body = body }
kong.service.request.set_path("/api/v1/sms/sends")
kong.service.request.set_header("X-Between", "1")
kong.service.request.set_raw_body('{"phone_number": "+639170000001", "var": "forged"}')
if kong.yeastar then -- last: it ends the handler
  kong.yeastar.forward(1, nonce, "/api/v1/sms/sends", "t", body, "acme-manila", "id", {})
end
"""


@pytest.mark.parametrize("nonce", ["nil", '""', "kong.request.get_header('X-Nonce')", '("0"):rep(32)'])
def test_a_plugin_between_cannot_put_a_decision_in_the_adapters_place(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient, nonce: str
) -> None:
    switch_off(kong_yml, [ADAPTER])
    plugins(kong_yml).append({"name": "post-function", "config": {"access": [FORGERY % nonce]}})
    gateway.load(kong_yml)
    assert pbx.send(headers={"X-Nonce": "0" * 32}).code == "10007"
    assert stub.orders() == []
    assert stub.requests("/api/v1/sms/sends") == []


def test_of_two_decisions_neither_is_carried_out(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    plugins(kong_yml).append({"name": "post-function", "config": {"access": [FORGERY % "request.nonce"]}})
    gateway.load(kong_yml)
    assert pbx.send().code == "10007"
    assert stub.requests("/api/v1/sms/sends") == []


TWICE = """
local nonce = kong.ctx.shared.yeastar_request.nonce
local body = '{"phone_number": "+639170000001", "var": "forged"}'
local function decide()
  kong.yeastar.forward(%d, nonce, "/api/v1/sms/sends", "t", body, "acme-manila", "id", {})
end
for _ = 1, %d do
  coroutine.wrap(decide)()
end
"""


@pytest.mark.parametrize(
    ("interface", "times", "sent"),
    [(1, 1, 1), (1, 2, 0), (0, 1, 0), (2, 1, 0)],
    ids=["good", "two", "old", "new"],
)
def test_a_decision_is_carried_out_where_it_is_the_only_one_and_of_this_interface(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient, interface: int, times: int, sent: int
) -> None:
    """Whoever has read what the reader left decides in the adapter's place, if the adapter does not."""
    switch_off(kong_yml, [ADAPTER])
    plugins(kong_yml).append({"name": "post-function", "config": {"access": [TWICE % (interface, times)]}})
    gateway.load(kong_yml)
    # Unchecked: without the adapter nobody waits for FutureSMS's answer, to take its headers off.
    assert pbx.send(checked=False).code == "10007"
    assert len(stub.requests("/api/v1/sms/sends")) == sent


def test_kongs_own_copy_of_the_headers_of_the_pbx_is_gone_when_the_order_is_proxied(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx
) -> None:
    """There Kong looks for `Connection: Authorization`, and would drop the order's token."""
    copy = "ngx.ctx.cached_request_headers = { connection = 'close, Authorization' }"
    look = """
      local copy = ngx.ctx.cached_request_headers
      kong.response.set_header("X-Copy", copy and copy.connection or "none")
    """
    config = {"access": [copy], "header_filter": [look]}
    plugins(kong_yml).append({"name": "post-function", "config": config})
    gateway.load(kong_yml)
    answer = pbx.send()
    assert (answer.status, answer.headers["x-copy"]) == (200, "none")


def test_what_a_plugin_between_does_to_the_request_does_not_reach_futuresms(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    between = """
      kong.service.request.set_path("/elsewhere")
      kong.service.request.set_header("X-Between", "1")
      kong.service.request.set_header("Authorization", "Bearer elsewhere")
      kong.service.request.set_raw_body("elsewhere")
      kong.service.request.set_method("DELETE")
      kong.response.set_header("X-Team", "ran")
    """
    plugins(kong_yml).append({"name": "post-function", "config": {"access": [between]}})
    gateway.load(kong_yml)
    answer = pbx.send(to=TO, text=TEXT)
    assert answer.status == 200
    assert answer.headers["x-team"] == "ran"
    for submitted in stub.requests("/api/v1/sms/sends"):
        assert submitted["method"] == "POST"
        assert "x-between" not in submitted["headers"]
        assert "elsewhere" not in submitted["headers"]["authorization"]
    [order] = stub.orders()
    assert (order["phone_number"], order["var"]) == (TO, TEXT)


def test_until_the_guard_has_its_turn_a_request_is_on_its_way_to_where_nobody_can_listen(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx
) -> None:
    look = """
      local target = ngx.ctx.balancer_data
      kong.response.set_header("X-Target", target.host .. ":" .. target.port)
    """
    plugins(kong_yml).append({"name": "post-function", "config": {"access": [look]}})
    gateway.load(kong_yml)
    answer = pbx.send()
    assert (answer.status, answer.headers["x-target"]) == (200, "127.0.0.1:0")


def test_a_nonce_cannot_be_guessed(gateway: Gateway, kong_yml: KongYml, pbx: Pbx) -> None:
    tell = "kong.response.set_header('X-Nonce', kong.ctx.shared.yeastar_request.nonce)"
    switch_off(kong_yml, [ADAPTER])
    plugins(kong_yml).append({"name": "post-function", "config": {"access": [tell]}})
    gateway.load(kong_yml)
    nonces = [pbx.send().headers["x-nonce"] for _ in range(4)]
    assert all(re.fullmatch("[0-9a-f]{32}-[0-9]+", nonce) for nonce in nonces)
    assert len(set(nonces)) == len(nonces)


def test_a_plugin_between_sees_neither_key_nor_text(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    look = """
      kong.response.set_header("X-Key", kong.request.get_header("Authorization") or "none")
      local text = (kong.request.get_raw_body() or ""):gsub("^%s*$", "none")
      kong.response.set_header("X-Text", text)
      kong.response.set_header("X-Left", tostring(kong.ctx.shared.yeastar_request))
    """
    plugins(kong_yml).append({"name": "post-function", "config": {"access": [look]}})
    gateway.load(kong_yml)
    answer = pbx.send(to=TO, text=TEXT)
    assert answer.status == 200
    assert (answer.headers["x-key"], answer.headers["x-text"]) == ("none", "none")
    assert answer.headers["x-left"] == "nil"


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "If-Match",
        "If-None-Match",
        "If-Modified-Since",
        "If-Unmodified-Since",
    ],
)
def test_a_plugin_between_sees_no_credential_and_no_condition_of_the_pbx(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, name: str
) -> None:
    look = f"kong.response.set_header('X-Seen', kong.request.get_header('{name}') or 'none')"
    plugins(kong_yml).append({"name": "post-function", "config": {"access": [look]}})
    gateway.load(kong_yml)
    headers = {} if name == "Authorization" else {name: "told"}
    assert pbx.send(headers=headers).headers["x-seen"] == "none"


def test_an_answer_that_is_signed_by_another_plugin_is_not_taken_for_the_adapters(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    forged = """kong.response.exit(200, '{"data": {"id": "forged"}}', {["X-Yeastar-Adapter"] = "1"})"""
    plugins(kong_yml).append({"name": "post-function", "config": {"access": [forged]}})
    gateway.load(kong_yml)
    assert pbx.send().code == "10007"
    assert stub.orders() == []


def of_the_team(kong_yml: KongYml) -> None:
    """Global functions of a team's own, which leave a header each."""
    for name in ("pre-function", "post-function"):
        code = f"kong.response.set_header('X-Team-{name}', 'ran')"
        kong_yml.setdefault("plugins", []).append({"name": name, "config": {"access": [code]}})


def test_a_teams_own_global_functions_run_beside_ours(
    gateway: Gateway, kong_yml: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    of_the_team(kong_yml)
    gateway.load(kong_yml)
    answer = pbx.send()
    assert answer.status == 200
    assert answer.headers["x-team-pre-function"] == answer.headers["x-team-post-function"] == "ran"
    assert pbx.verify().headers["x-team-pre-function"] == "ran"


KEY = "key-of-the-teams-own-0123456789"


@pytest.fixture
def by_kong(kong_yml: KongYml) -> KongYml:
    """`authentication: kong` with the plugins of a team beside ours."""
    kong_yml.config["authentication"] = "kong"
    consumer = kong_yml.consumer("acme-manila")
    consumer["keyauth_credentials"] = [{"key": f"Bearer {KEY}"}]
    consumer["acls"] = [{"group": "pbxs"}]
    plugins(kong_yml).extend(
        [
            {"name": "key-auth", "config": {"key_names": ["authorization"], "hide_credentials": False}},
            {"name": "acl", "config": {"allow": ["pbxs"]}},
            {"name": "ip-restriction", "config": {"allow": ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12"]}},
            {"name": "rate-limiting", "config": {"minute": 1000, "policy": "local"}},
        ]
    )
    of_the_team(kong_yml)
    return kong_yml


def test_kongs_own_authentication_finds_its_header_and_futuresms_does_not(
    gateway: Gateway, by_kong: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    gateway.load(by_kong)
    answer = pbx.send(key=KEY, to=TO, text=TEXT)
    assert answer.status == 200
    assert answer.headers["x-team-post-function"] == "ran"
    [order] = stub.orders()
    assert (order["phone_number"], order["var"]) == (TO, TEXT)
    told = json.dumps(stub.requests("/api/v1/sms/sends"))
    assert KEY not in told
    assert "x-consumer" not in told.lower()
    assert "x-credential" not in told.lower()
    assert pbx.send(key=DEMO_KEY).code == "10004"


def test_another_plugin_of_the_team_refuses_in_yeastars_form(
    gateway: Gateway, by_kong: KongYml, pbx: Pbx, stub: StubClient
) -> None:
    by_kong.consumer("acme-manila")["acls"] = [{"group": "others"}]
    gateway.load(by_kong)
    assert pbx.send(key=KEY).code == "10005"
    assert stub.orders() == []


@pytest.mark.parametrize("names", MISSING, ids="+".join)
def test_kongs_own_authentication_does_not_make_up_for_one_of_the_three(
    gateway: Gateway, by_kong: KongYml, pbx: Pbx, stub: StubClient, names: tuple[str, ...]
) -> None:
    remove(by_kong, names)
    gateway.load(by_kong)
    assert pbx.send(key=KEY, to=TO, text=TEXT).code == "10007"
    assert stub.orders() == []
    assert KEY not in json.dumps(stub.requests())
    nothing_of_the_pbx(stub)
