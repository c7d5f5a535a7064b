"""`yeastarctl config check`: each fault with its line, and a good file left in peace."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from yeastarctl.check.checker import check_files
from yeastarctl.check.finding import Finding
from yeastarctl.key import digest

from tests.unit.ctl.conftest import Cli

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = {"FUTURESMS_USERNAME": "gateway", "FUTURESMS_PASSWORD": "a password"}
OTHER_KEY = digest("ystr_globex_0123456789abcdefghijklmnopqrstu")

Edit = Callable[[dict[str, Any]], None]
Check = Callable[..., list[Finding]]


def adapter(kong: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the adapter in a kong.yml."""
    config: dict[str, Any] = plugin(kong, "yeastar-adapter")["config"]
    return config


def plugins(kong: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = route(kong)["plugins"]
    return found


def plugin(kong: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in plugins(kong) if entry["name"] == name)


def guard(kong: dict[str, Any]) -> dict[str, Any]:
    return plugin(kong, "post-function")


def remove(name: str) -> Edit:
    return lambda kong: plugins(kong).remove(plugin(kong, name))


def remove_from(name: str, phase: str) -> Edit:
    return lambda kong: plugin(kong, name)["config"].pop(phase)


def route(kong: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = kong["services"][0]["routes"][0]
    return found


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """`check(edit, environment=…)`: the findings for the project's kong.yml, with keys of its own, after an edit."""

    def run(edit: Edit | None = None, environment: dict[str, str] | None = ENVIRONMENT) -> list[Finding]:
        kong = YAML(typ="safe").load(ROOT / "kong.yml")
        for number, entry in enumerate(adapter(kong)["consumers"]):
            entry["api_keys"] = [digest(f"ystr_{number}_0123456789abcdefghijklmnopqrstu")]
        if edit:
            edit(kong)
        path = tmp_path / "kong.yml"
        YAML(typ="safe").dump(kong, path)
        return check_files([path], environment)

    return run


@pytest.fixture
def text(tmp_path: Path) -> Callable[[str], list[Finding]]:
    """`text("…")`: the findings for a file with this text."""

    def run(content: str) -> list[Finding]:
        path = tmp_path / "written.yml"
        path.write_text(content)
        return check_files([path], ENVIRONMENT)

    return run


def rules(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.rule, finding.severity) for finding in findings]


def test_a_good_configuration_has_no_findings(check: Check) -> None:
    assert check() == []


def test_the_shipped_configuration_has_only_the_demo_keys_to_complain_about() -> None:
    findings = check_files([ROOT / "kong.yml"], ENVIRONMENT)
    assert set(rules(findings)) == {("demo-key", "warning")}


EXAMPLES = [
    path
    for path in sorted((ROOT / "examples").rglob("*.y*ml"))
    if re.search("^(_format_version|kind): ", path.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_examples_have_no_errors(path: Path) -> None:
    assert [f for f in check_files([path], None) if f.severity == "error"] == []


def set_key(*keys: str) -> Edit:
    return lambda kong: adapter(kong)["consumers"][0].update(api_keys=list(keys))


def in_config(**settings: Any) -> Edit:
    return lambda kong: adapter(kong).update(settings)


def in_consumer(**settings: Any) -> Edit:
    return lambda kong: adapter(kong)["consumers"][0].update(settings)


def in_order(**settings: Any) -> Edit:
    return lambda kong: adapter(kong)["order"].update(settings)


def in_rates(**settings: Any) -> Edit:
    return lambda kong: adapter(kong)["rate_limit"].update(settings)


def in_merchant(**settings: Any) -> Edit:
    return lambda kong: adapter(kong)["merchant"].update(settings)


def in_route(**settings: Any) -> Edit:
    return lambda kong: route(kong).update(settings)


def in_service(**settings: Any) -> Edit:
    return lambda kong: kong["services"][0].update(settings)


def in_guard(**settings: Any) -> Edit:
    return lambda kong: guard(kong).update(settings)


def beside(name: str, **config: Any) -> Edit:
    return lambda kong: plugins(kong).append({"name": name, "config": config})


def without(*path: Any) -> Edit:
    def edit(kong: dict[str, Any]) -> None:
        place: Any = kong
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return edit


PLUGINS = ("services", 0, "routes", 0, "plugins")
CONFIG = (*PLUGINS, 0, "config")
STRIPPED = '-- changed\nif ngx.var.upstream_uri ~= "/other" then return kong.response.exit(500, "") end'

FAULTS: list[tuple[str, str, Edit]] = [
    # what Kong refuses
    ("schema", "error", in_config(authentification="bearer")),
    ("schema", "error", in_config(recipient_check="sometimes")),
    ("schema", "error", in_rates(second="5")),
    ("schema", "error", in_rates(minute=0)),
    ("key-weak", "error", set_key("")),
    ("schema", "error", in_merchant(base_url="ftp://x")),
    ("schema", "error", in_route(strip_paths=False)),
    ("schema", "error", in_service(timeout=3)),
    ("schema", "error", in_guard(enable=True)),
    ("format-version", "error", without("_format_version")),
    ("format-version", "error", lambda kong: kong.update(_format_version="4.0")),
    # keys
    ("no-key", "error", set_key()),
    ("key-weak", "error", set_key("too-short")),
    ("key-weak", "error", set_key("                         ")),
    ("key-malformed", "error", set_key("sha256:abc")),
    ("key-malformed", "error", set_key("sha256:" + "g" * 64)),
    ("key-in-clear", "warning", set_key("ystr_in_the_clear_0123456789")),
    ("demo-key", "warning", set_key("ystr_demo_acme_manila_7Jw2pVqX9sKd4nBt")),
    ("key-shared", "error", set_key(digest("ystr_1_0123456789abcdefghijklmnopqrstu"))),
    ("key-twice", "warning", set_key(OTHER_KEY, OTHER_KEY.upper().replace("SHA256", "sha256"))),
    ("consumer-twice", "error", lambda kong: adapter(kong)["consumers"][1].update(username="acme-manila")),
    # references and secrets
    ("vault-unset", "error", set_key("{vault://env/acme-manila-key}")),
    ("vault-unset", "error", in_order(sender_id="{vault://env/the-sender}")),
    ("vault-malformed", "error", in_merchant(username="user-{vault://env/name}")),
    ("vault-not-here", "error", in_order(text_field="{vault://env/field}")),
    ("password-in-clear", "warning", in_merchant(password="hunter2")),
    ("password-in-clear", "warning", lambda kong: adapter(kong)["rate_limit"]["redis"].update(password="x")),
    # consumers
    ("consumer-unknown", "error", without("consumers", 0)),
    ("consumer-unknown", "error", without("consumers")),
    ("no-consumers", "warning", in_config(consumers=[])),
    # orders
    ("template-form", "error", in_order(template_id="T1")),
    ("template-form", "error", in_consumer(template_id="TPL-much-too-long-for-it")),
    ("sender-form", "error", in_order(sender_id="63280000001")),
    ("sender-form", "error", in_consumer(senders={"+63280000001": "ACME"})),
    ("sender-number", "error", in_consumer(senders={"063280000001": "SID-1"})),
    ("sender-number", "error", in_consumer(senders={"+6": "SID-1"})),
    ("senders-empty", "error", in_consumer(senders={})),
    ("not-configured", "error", without(*CONFIG, "order", "template_id")),
    ("not-configured", "error", without(*CONFIG, "merchant", "password")),
    ("not-configured", "error", without(*CONFIG, "merchant")),
    ("blank", "error", in_order(template_id="    ")),
    ("text-field", "error", in_order(text_field="sender_id")),
    ("dlr-address", "warning", in_order(dlr_address="reports.example.com")),
    ("merchant-address", "error", in_merchant(base_url="http//futuresms")),
    ("merchant-plain", "warning", in_merchant(base_url="http://api.example.com")),
    ("merchant-half", "warning", in_consumer(merchant={"username": "other"})),
    # rates
    ("rates-contradict", "warning", in_rates(second=5, minute=4)),
    ("rates-contradict", "warning", in_rates(second=5, minute=60, day=59)),
    ("rates-contradict", "warning", in_consumer(rate_limit={"minute": 2})),
    ("no-limit", "warning", without(*CONFIG, "rate_limit")),
    ("redis-unused", "warning", in_rates(policy="local")),
    ("redis-login", "error", lambda kong: adapter(kong)["rate_limit"]["redis"].update(username="kong")),
    (
        "redis-tls",
        "warning",
        lambda kong: adapter(kong)["rate_limit"]["redis"].update(ssl=True, ssl_verify=False),
    ),
    ("metrics-address", "warning", in_config(metrics={"listen": "9542"})),
    ("metrics-address", "warning", in_config(metrics={"listen": "unix:metrics.sock"})),
    # the guard
    ("unguarded", "error", remove("post-function")),
    ("no-reader", "warning", remove("pre-function")),
    ("reader-differs", "warning", remove_from("pre-function", "access")),
    ("unguarded", "error", in_guard(enabled=False)),
    ("guard-incomplete", "error", remove_from("post-function", "access")),
    ("guard-incomplete", "error", remove_from("post-function", "header_filter")),
    ("guard-incomplete", "error", remove_from("post-function", "body_filter")),
    ("guard-differs", "warning", lambda kong: guard(kong)["config"].update(access=[STRIPPED])),
    ("guard-path", "error", in_order(path="/api/v2/orders")),
    ("guard-bypass", "error", in_route(paths=["/api/v1"])),
    ("guard-bypass", "error", without("services", 0, "routes", 0, "paths")),
    ("strip-path", "error", in_route(strip_path=True)),
    ("strip-path", "error", without("services", 0, "routes", 0, "strip_path")),
    # the way to FutureSMS
    ("not-routed", "warning", in_route(paths=["~/api/v1/integration/yeastar/sms/sendmessage$"])),
    ("not-routed", "warning", in_route(methods=["POST"])),
    (
        "no-route",
        "warning",
        lambda kong: kong["services"].append({"name": "x", "plugins": plugins(kong)[:1]}),
    ),
    ("timeout-long", "warning", without("services", 0, "read_timeout")),
    ("timeout-long", "warning", in_service(connect_timeout=60001)),
    ("service-plain", "warning", in_service(url="http://api.futuresms.example")),
    # other plugins
    ("authentication-twice", "error", beside("key-auth")),
    ("authentication-twice", "error", beside("jwt")),
    ("no-authentication", "error", in_config(authentication="kong")),
    ("keys-unused", "warning", in_config(authentication="kong")),
    ("body-limit", "warning", beside("request-size-limiting", allowed_payload_size=8, size_unit="kilobytes")),
]


@pytest.mark.parametrize(
    ("rule", "severity", "edit"), FAULTS, ids=[f"{n}-{fault[0]}" for n, fault in enumerate(FAULTS)]
)
def test_a_fault_is_found(check: Check, rule: str, severity: str, edit: Edit) -> None:
    findings = check(edit)
    assert (rule, severity) in rules(findings), findings
    assert all(finding.problem and finding.line >= 1 for finding in findings)


def test_every_rule_that_the_checks_can_report_is_tested() -> None:
    source = "".join(path.read_text() for path in (ROOT / "plugins/yeastarctl/check").glob("*.py"))
    tested = {rule for rule, _, _ in FAULTS} | {"key-repeated", "yaml", "not-kong", "refused"}
    tested |= {"key-names", "hide-credentials"}
    known = set(re.findall(r'(?:error|warning|finding)\(\s*"([a-z-]+)"', source)) | {"yaml"}
    assert known == tested


HARMLESS: list[Edit] = [
    in_config(metrics={"listen": "127.0.0.1:9542"}),
    in_config(metrics={"listen": "unix:/run/metrics.sock"}),
    in_rates(second=60, minute=60),
    in_rates(second=None, minute=None, day=100),
    set_key("{vault://hcv/pbx/acme}"),
    in_consumer(senders={"+63280000001": "SID-2", "+63280000002": "AUTO"}),
    in_merchant(base_url="https://api.futuresms.example"),
    in_merchant(base_url="http://futuresms:8080"),
    in_service(url="https://api.futuresms.example"),
    beside("rate-limiting", minute=5),
    beside("request-size-limiting", allowed_payload_size=1),
    beside("correlation-id"),
    beside("key-auth", anonymous="somebody"),
    in_route(methods=["GET", "POST"]),
    in_route(paths=["/api/v1/integration/yeastar/"]),
    in_order(dlr_address="https://reports.example.com/dlr"),
]


@pytest.mark.parametrize("edit", HARMLESS, ids=range(len(HARMLESS)))
def test_what_is_harmless_is_not_reported(check: Check, edit: Edit) -> None:
    assert check(edit) == []


def test_an_unset_variable_of_a_consumer_that_is_off_is_no_error(check: Check) -> None:
    def edit(kong: dict[str, Any]) -> None:
        adapter(kong)["consumers"][1]["api_keys"] = ["{vault://env/globex-key}"]

    assert rules(check(edit)) == [("vault-unset", "warning")]


def test_without_an_environment_references_are_left_alone(check: Check) -> None:
    assert check(set_key("{vault://env/acme-manila-key}"), environment=None) == []


def test_one_reference_for_two_consumers_is_one_key(check: Check) -> None:
    def edit(kong: dict[str, Any]) -> None:
        for entry in adapter(kong)["consumers"]:
            entry["api_keys"] = ["{vault://env/the-key}"]

    assert ("key-shared", "error") in rules(check(edit, environment=None))


def test_a_guard_for_another_order_path_is_the_same_guard(check: Check) -> None:
    def edit(kong: dict[str, Any]) -> None:
        adapter(kong)["order"]["path"] = "/api/v2/orders"
        config = guard(kong)["config"]
        config["access"] = [config["access"][0].replace("/api/v1/sms/sends", "/api/v2/orders")]

    assert check(edit) == []


def test_comments_and_layout_make_no_other_guard(check: Check) -> None:
    def edit(kong: dict[str, Any]) -> None:
        config = guard(kong)["config"]
        config["access"] = ["-- ours\n" + config["access"][0].replace("\n", "\n\n  ")]

    assert check(edit) == []


def test_reader_and_guard_may_be_on_the_service_or_global(check: Check) -> None:
    def on_service(kong: dict[str, Any]) -> None:
        kong["services"][0]["plugins"] = [plugins(kong).pop() for _ in range(2)]

    def everywhere(kong: dict[str, Any]) -> None:
        kong["plugins"] = [plugins(kong).pop() for _ in range(2)]

    assert check(on_service) == []
    assert check(everywhere) == []


def test_a_guard_on_another_route_guards_nothing(check: Check) -> None:
    def edit(kong: dict[str, Any]) -> None:
        kong["services"][0]["routes"].append(
            {"name": "other", "paths": ["/other"], "plugins": [plugins(kong).pop()]}
        )

    assert ("unguarded", "error") in rules(check(edit))


def test_flat_files_with_references_by_name_are_understood(check: Check) -> None:
    def edit(kong: dict[str, Any]) -> None:
        only = route(kong)
        kong["plugins"] = [{**plugin, "route": {"name": only["name"]}} for plugin in only.pop("plugins")]
        kong["routes"] = [{**only, "service": "futuresms"}]
        del kong["services"][0]["routes"]

    def unguarded(kong: dict[str, Any]) -> None:
        edit(kong)
        kong["plugins"] = [entry for entry in kong["plugins"] if entry["name"] != "post-function"]

    assert check(edit) == []
    assert ("unguarded", "error") in rules(check(unguarded))


def test_kong_s_own_key_auth_must_look_where_a_pbx_puts_its_key(check: Check) -> None:
    def edit(kong: dict[str, Any]) -> None:
        adapter(kong).update(authentication="kong")
        for entry in adapter(kong)["consumers"]:
            entry.pop("api_keys")
        plugins(kong).append({"name": "key-auth", "config": {"key_names": ["apikey"]}})

    assert set(rules(check(edit))) == {("key-names", "error"), ("hide-credentials", "warning")}


def test_an_instance_of_one_consumer_needs_all_that_an_entry_needs(
    text: Callable[[str], list[Finding]],
) -> None:
    findings = text(
        """\
_format_version: "3.0"
consumers:
  - username: acme
    plugins:
      - name: yeastar-adapter
        config:
          authentication: kong
          order: {sender_id: SID-1}
          merchant: {username: u, password: "{vault://env/futuresms-password}"}
          rate_limit: {second: 5}
"""
    )
    assert [(f.rule, f.problem.partition(":")[0]) for f in findings] == [
        ("not-configured", "acme has no template_id")
    ]


def test_an_instance_that_sends_nothing_needs_no_limit(text: Callable[[str], list[Finding]]) -> None:
    findings = text(
        """\
_format_version: "3.0"
plugins:
  - {name: yeastar-adapter, config: {authentication: kong}}
"""
    )
    assert [finding.rule for finding in findings] == ["no-route"]


def test_lines_are_those_of_the_file(text: Callable[[str], list[Finding]]) -> None:
    findings = text(
        """\
_format_version: "3.0"
consumers:
  - username: acme
plugins:
  - name: yeastar-adapter
    config:
      consumers:
        - username: acme
          api_keys:
            - sha256:0000000000000000000000000000000000000000000000000000000000000001
            - short
        - {username: ghost, api_keys: [sha256:0000000000000000000000000000000000000000000000000000000000000001]}
      order: {template_id: TPL1001, sender_id: SID-1}
      merchant:
        username: u
        password: in-clear
      rate_limit:
        second: 5
        minute: 3
"""
    )
    found = {finding.rule: (finding.line, finding.where) for finding in findings}
    prefix = "plugins[0].config"
    assert found["key-weak"] == (11, f"{prefix}.consumers[0].api_keys[1]")
    assert found["key-shared"] == (12, f"{prefix}.consumers[1].api_keys[0]")
    assert found["consumer-unknown"] == (12, f"{prefix}.consumers[1].username")
    assert found["password-in-clear"] == (16, f"{prefix}.merchant.password")
    assert found["rates-contradict"] == (19, f"{prefix}.rate_limit.minute")
    assert [finding.line for finding in findings] == sorted(finding.line for finding in findings)


def test_anchors_and_merges_are_followed(text: Callable[[str], list[Finding]]) -> None:
    findings = text(
        """\
_format_version: "3.0"
x-common: &common
  rate_limit: {second: 5, minute: 3}
consumers: [{username: acme}]
plugins:
  - name: yeastar-adapter
    enabled: &off true
    config:
      <<: *common
      consumers: [{username: acme, enabled: *off, api_keys: [short-one]}]
      order: {template_id: TPL1001, sender_id: SID-1}
      merchant: {username: u, password: "{vault://env/futuresms-password}"}
"""
    )
    assert {"rates-contradict", "key-weak"} <= {finding.rule for finding in findings}
    assert not [finding for finding in findings if finding.rule == "schema"]


def test_a_number_that_yaml_reads_as_a_number_is_refused_as_kong_does(
    text: Callable[[str], list[Finding]],
) -> None:
    findings = text(
        """\
_format_version: "3.0"
plugins:
  - name: yeastar-adapter
    config:
      consumers:
        - username: acme
          senders:
            +63280000001: SID-1
"""
    )
    assert [(f.rule, f.line, f.problem) for f in findings if f.rule == "schema"] == [
        ("schema", 8, "expected a string")
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("_format_version: '3.0'\nservices: [\n", 3),
        ("a: b: c\n", 1),
        ("a: 1\n\tb: 2\n", 2),
        ("a: *nowhere\n", 1),
        ("{" * 100, 1),
    ],
)
def test_what_is_not_yaml_is_reported_with_its_line(
    text: Callable[[str], list[Finding]], content: str, line: int
) -> None:
    (finding,) = text(content)
    assert (finding.rule, finding.severity) == ("yaml", "error")
    assert finding.line >= line


@pytest.mark.parametrize("content", ["[]", "just words", "3"])
def test_what_is_no_configuration_is_said_to_be_none(
    text: Callable[[str], list[Finding]], content: str
) -> None:
    assert rules(text(content)) == [("not-kong", "error")]


def test_a_key_that_occurs_twice_is_reported(text: Callable[[str], list[Finding]]) -> None:
    findings = text('_format_version: "3.0"\nconsumers: []\nconsumers: [{username: acme}]\n')
    assert [(f.rule, f.line) for f in findings] == [("key-repeated", 3)]


@pytest.mark.parametrize("junk", [None, 3, "text", [], {}, [None], [3], {"a": None}])
@pytest.mark.parametrize(
    "place", ["consumers", "services", "plugins", "routes", "vaults", "_format_version", "config"]
)
def test_nonsense_anywhere_is_no_crash(text: Callable[[str], list[Finding]], place: str, junk: Any) -> None:
    kong: dict[str, Any] = {"_format_version": "3.0"}
    if place == "config":
        kong["plugins"] = [{"name": "yeastar-adapter", "config": junk}]
    else:
        kong[place] = junk
    text(json.dumps(kong))


def test_several_files_are_one_gateway(check: Check, tmp_path: Path) -> None:
    assert ("consumer-unknown", "error") in rules(check(without("consumers")))
    consumers = tmp_path / "consumers.yml"
    consumers.write_text(
        '_format_version: "3.0"\nconsumers: [{username: acme-manila}, {username: globex-cebu}]\n'
    )
    assert check_files([tmp_path / "kong.yml", consumers], ENVIRONMENT) == []


def test_manifests_of_the_ingress_controller_are_checked(text: Callable[[str], list[Finding]]) -> None:
    findings = text(
        """\
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: adapter}
plugin: yeastar-adapter
config:
  consumers:
    - {username: acme, api_keys: [short]}
  order: {template_id: TPL1001, sender_id: SID-1}
  merchant: {username: u, password: "{vault://env/futuresms-password}"}
  rate_limit: {second: 5}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: guard}
plugin: post-function
config: {access: ["-- nothing"]}
---
apiVersion: v1
kind: Secret
metadata: {name: x}
"""
    )
    assert [(f.rule, f.line) for f in findings] == [
        ("key-weak", 7),
        ("guard-incomplete", 12),
        ("guard-incomplete", 12),
        ("guard-differs", 16),
    ]


def test_the_command_shows_file_line_and_what_to_do(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "kong.yml"
    path.write_text("services: []\n")
    result = cli("config", "check", path)
    assert result.exit_code == 1
    assert f"{path}:1 error: _format_version is missing" in result.output
    told = json.loads(cli("config", "check", path, "--json").stdout)
    assert (told["ok"], told["errors"]) == (False, 1)
    assert told["findings"][0]["line"] == 1


def test_warnings_alone_are_status_0_unless_strict(cli: Cli) -> None:
    call = ("config", "check", ROOT / "kong.yml", "--no-environment")
    assert cli(*call).exit_code == 0
    assert cli(*call, "--strict").exit_code == 1


def test_variables_may_come_from_a_file(cli: Cli, tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("# secrets\nexport FUTURESMS_USERNAME='gateway'\nFUTURESMS_PASSWORD=x # of the account\n")
    call = ("config", "check", ROOT / "kong.yml")
    nothing = {"FUTURESMS_USERNAME": None, "FUTURESMS_PASSWORD": None}
    assert cli(*call, env=nothing).exit_code == 1
    assert cli(*call, "--env-file", env, env=nothing).exit_code == 0


def test_a_missing_file_is_a_wrong_call(cli: Cli, tmp_path: Path) -> None:
    assert cli("config", "check", tmp_path / "none.yml").exit_code == 2
    assert cli("config", "check").exit_code == 2


def test_no_secret_is_in_the_report(cli: Cli, check: Check, tmp_path: Path) -> None:
    check(in_merchant(password="hunter2-hunter2"))
    for flags in ((), ("--json",)):
        assert "hunter2" not in cli("config", "check", tmp_path / "kong.yml", *flags).output
    check(set_key("ystr_in_the_clear_0123456789"))
    assert "in_the_clear" not in cli("config", "check", tmp_path / "kong.yml").output
