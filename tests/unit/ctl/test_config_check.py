"""`yeastarctl config check`: files, manifests, severities, corrections. What it finds is shown by the corpus."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from yeastarctl.check import certificate, files_named
from yeastarctl.check.checker import check_files, check_texts
from yeastarctl.check.finding import Finding

from tests.unit.ctl.conftest import AnsweringServer, Cli
from tests.unit.ctl.test_corpus import CORPUS, ENVIRONMENT

ROOT = Path(__file__).resolve().parents[3]
BASE = (CORPUS / "good" / "base.yml").read_text()


def check(text: str, environment: dict[str, str] | None = ENVIRONMENT) -> list[Finding]:
    return check_texts([("kong.yml", text.encode())], environment)


def edited(*pairs: tuple[str, str]) -> str:
    text = BASE
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def rules(findings: list[Finding], severity: str = "") -> list[str]:
    return [finding.rule for finding in findings if severity in ("", finding.severity)]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    """`file(text)`: a kong.yml with this text."""

    def write(text: str) -> Path:
        path = tmp_path / "kong.yml"
        path.write_text(text)
        return path

    return write


def test_the_shipped_configuration_has_only_the_demo_keys_to_complain_about() -> None:
    findings = check_files([ROOT / "kong.yml"], ENVIRONMENT)
    assert rules(findings, "error") == []
    assert set(rules(findings, "warning")) == {"demo-key"}


EXAMPLES = [
    path
    for path in sorted((ROOT / "examples").rglob("*.y*ml"))
    if re.search("^(_format_version|kind|gateway): ?", path.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_examples_have_no_errors(path: Path) -> None:
    assert rules(check_files([path], None), "error") == []


def test_the_manifests_together_are_one_gateway() -> None:
    findings = check_files(sorted((ROOT / "examples/kubernetes").glob("*.yaml")), None)
    assert rules(findings, "error") == []
    assert "consumer-unknown" not in rules(findings)


# Which instance a request meets


def test_the_most_specific_instance_is_judged() -> None:
    """A guard that is off on the route leaves the one of the whole gateway in force."""
    off = edited(
        ("          - name: yeastar-guard\n", "          - name: yeastar-guard\n            enabled: false\n")
    )
    everywhere = off.replace("services:\n", "plugins:\n  - name: yeastar-guard\nservices:\n", 1)
    assert "unguarded" in rules(check(off))
    assert rules(check(everywhere), "error") == []


def test_an_instance_of_a_consumer_needs_the_others_too() -> None:
    text = (CORPUS / "good" / "key-auth.yml").read_text()
    route_only = text.replace(
        "          - name: yeastar-adapter\n            config: {authentication: kong}\n", ""
    )
    assert rules(check(route_only), "error") == []
    without_guard = route_only.replace("          - name: yeastar-guard\n", "")
    assert "unguarded" in rules(check(without_guard), "error")


def test_a_team_s_own_functions_are_left_in_peace() -> None:
    text = edited(
        (
            "services:\n",
            "plugins:\n  - name: post-function\n    config: {access: ['kong.log(1)']}\nservices:\n",
        )
    )
    assert rules(check(text)) == []


def test_files_together_are_one_gateway(file: Callable[[str], Path], tmp_path: Path) -> None:
    head, consumers, rest = re.split(r"(?=^consumers:)|(?=^services:)", BASE, flags=re.MULTILINE)
    path = file(head + rest)
    other = tmp_path / "consumers.yml"
    other.write_text(head + consumers)
    assert "consumer-unknown" in rules(check_files([path], ENVIRONMENT), "error")
    assert rules(check_files([path, other], ENVIRONMENT), "error") == []


def test_a_finding_names_the_file_that_it_is_in(file: Callable[[str], Path], tmp_path: Path) -> None:
    other = tmp_path / "more.yml"
    other.write_text('_format_version: "3.0"\nconsumers:\n  - username: acme\n')
    findings = check_files([file(BASE), other], ENVIRONMENT)
    assert [(f.rule, f.file, f.line) for f in findings] == [("duplicate", str(other), 3)]


def test_decks_own_files_may_leave_entities_to_the_gateway() -> None:
    text = edited(('_format_version: "3.0"\n', '_format_version: "3.0"\n_info: {select_tags: [x]}\n'))
    without = text.replace("  - username: globex\nservices", "services", 1)
    assert ("consumer-unknown", "warning") in [(f.rule, f.severity) for f in check(without)]


def test_a_variable_of_a_consumer_that_is_off_is_no_error() -> None:
    text = edited(
        (
            'api_keys: ["sha256:' + "2b" * 32,
            'enabled: false\n                  api_keys: ["{vault://env/globex-key}',
        )
    )
    assert [(f.rule, f.severity) for f in check(text)] == [("vault-unset", "warning")]


def test_without_an_environment_references_and_files_are_left_alone() -> None:
    text = edited(
        ("second: 5", "second: 5"),
        (
            'password: "{vault://env/futuresms-password}"',
            'password: "{vault://env/nobody-has-this}"\n                ca_certificates: /nowhere/ca.pem',
        ),
    )
    assert rules(check(text)) == ["vault-unset", "ca-file"]
    assert rules(check(text, environment=None)) == []


def test_one_reference_for_two_consumers_is_one_key() -> None:
    text = re.sub(r'api_keys: \["[^"]*"\]', 'api_keys: ["{vault://env/the-key}"]', BASE)
    assert "key-shared" in rules(check(text, environment=None), "error")


@pytest.mark.parametrize("junk", [None, 3, "text", [], {}, [None], [3], {"a": None}, [[]], [{"name": 3}]])
@pytest.mark.parametrize(
    "place",
    [
        "consumers",
        "services",
        "plugins",
        "routes",
        "vaults",
        "certificates",
        "_format_version",
        "config",
        "kind",
    ],
)
def test_nonsense_anywhere_is_no_crash(place: str, junk: Any) -> None:
    kong: dict[str, Any] = {"_format_version": "3.0"}
    if place == "config":
        kong["plugins"] = [{"name": "yeastar-adapter", "config": junk}]
    elif place == "kind":
        kong = {"apiVersion": "v1", "kind": "Ingress", "metadata": junk, "spec": junk, "plugin": junk}
    else:
        kong[place] = junk
    check(json.dumps(kong))


SETTINGS = [
    "consumers",
    "order",
    "merchant",
    "rate_limit",
    "recipients",
    "delivery_reports",
    "metrics",
    "authentication",
]


@pytest.mark.parametrize("junk", [3, "text", [], {}, [None], [[3]], {"a": None}, True])
@pytest.mark.parametrize("setting", SETTINGS)
def test_nonsense_in_a_setting_is_kong_s_to_refuse_and_no_crash(setting: str, junk: Any) -> None:
    kong = {"_format_version": "3.0", "plugins": [{"name": "yeastar-adapter", "config": {setting: junk}}]}
    check(json.dumps(kong))


def test_ten_thousand_consumers_are_checked_in_one_go() -> None:
    consumers = "".join(f"  - username: pbx-{n}\n" for n in range(10_000))
    assert rules(check(edited(("  - username: globex\n", f"  - username: globex\n{consumers}")))) == []


# The command


def test_the_command_shows_file_line_and_what_to_do(cli: Cli, file: Callable[[str], Path]) -> None:
    path = file("services: []\n")
    result = cli("config", "check", path)
    assert result.exit_code == 1
    assert f"{path}:1 error: _format_version is missing" in result.output
    told = json.loads(cli("config", "check", path, "--json").stdout)
    assert (told["ok"], told["errors"]) == (False, 2)
    assert told["findings"][0]["line"] == 1


def test_standard_input_is_a_file_too(cli: Cli) -> None:
    assert cli("config", "check", "-", input=BASE, env=ENVIRONMENT).exit_code == 0
    result = cli("config", "check", "-", input=BASE.replace("yeastar-guard", "gaurd"), env=ENVIRONMENT)
    assert result.exit_code == 1
    assert "<stdin>:" in result.output


def test_only_errors_are_status_1_unless_strict(cli: Cli, file: Callable[[str], Path]) -> None:
    warning = file(edited(("minute: 300", "minute: 60")))
    assert cli("config", "check", warning, env=ENVIRONMENT).exit_code == 0
    assert cli("config", "check", warning, "--strict", env=ENVIRONMENT).exit_code == 1
    hint = file(edited(("countries: [PH]", "countries: null")))
    assert cli("config", "check", hint, "--strict", env=ENVIRONMENT).exit_code == 0


def test_variables_may_come_from_a_file(cli: Cli, file: Callable[[str], Path], tmp_path: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("# secrets\nexport FUTURESMS_USERNAME='gateway'\nFUTURESMS_PASSWORD=x # of the account\n")
    call = ("config", "check", file(BASE))
    nothing = {"FUTURESMS_USERNAME": None, "FUTURESMS_PASSWORD": None}
    assert cli(*call, env=nothing).exit_code == 1
    assert cli(*call, "--env-file", env, env=nothing).exit_code == 0


def test_a_missing_file_is_a_wrong_call(cli: Cli, tmp_path: Path) -> None:
    assert cli("config", "check", tmp_path / "none.yml").exit_code == 2
    assert cli("config", "check").exit_code == 2


SECRETS = [
    ('password: "{vault://env/futuresms-password}"', "password: hunter2-hunter2"),
    ('password: "{vault://env/futuresms-password}"', "password: 90125901259012590125"),
    ('api_keys: ["sha256:' + "1a" * 32 + '"]', "api_keys: [hunter2_hunter2_hunter2]"),
    ('api_keys: ["sha256:' + "1a" * 32 + '"]', "api_keys: [90125901259012590125]"),
    ('api_keys: ["sha256:' + "1a" * 32 + '"]', "api_keys: hunter2_hunter2_hunter2"),
]


@pytest.mark.parametrize(("old", "new"), SECRETS, ids=range(len(SECRETS)))
def test_no_secret_is_in_the_report(cli: Cli, file: Callable[[str], Path], old: str, new: str) -> None:
    path = file(edited((old, new)))
    for flags in ((), ("--json",)):
        output = cli("config", "check", path, *flags, env=ENVIRONMENT).output
        assert "hunter2" not in output
        assert "90125" not in output


# Corrections

CORRECTED = """\
version-number version-missing version-1.1 collection-service plugin-adaptor plugin-gaurd setting-api_key tags-string
path-without-tilde preserve-host reader-off key-bearer sender-small vault-no-colon vault-space vault-evn
vault-shell country-small minute-below-60-seconds service-off retries-5 setting-strip_paths redis-unverified
api-key-mapping policy-misspelt base-url-api service-unverified k8s-plugin-misspelt
""".split()  # noqa: SIM905


@pytest.mark.parametrize("name", CORRECTED)
def test_what_is_mechanical_is_corrected(cli: Cli, file: Callable[[str], Path], name: str) -> None:
    path = file((CORPUS / "wrong" / f"{name}.yml").read_text())
    wrong = [f.rule for f in check_files([path], ENVIRONMENT) if f.edit]
    before = path.read_text()
    shown = cli("config", "check", path, "--fix", env=ENVIRONMENT)
    assert "\n+" in shown.output
    assert path.read_text() == before
    cli("config", "check", path, "--fix", "--yes", env=ENVIRONMENT)
    after = check_files([path], ENVIRONMENT)
    assert wrong
    assert not set(wrong) & set(rules(after, "error"))
    assert len(rules(after, "error")) < len(rules(check(before), "error")) or not rules(
        check(before), "error"
    )


def test_a_correction_keeps_comments_and_every_other_line(cli: Cli, file: Callable[[str], Path]) -> None:
    text = edited(
        ("strip_path: false", "strip_path: false # as the PBX sends it\n        preserve_host: true # why?")
    )
    path = file(text)
    cli("config", "check", path, "--fix", "--yes", env=ENVIRONMENT)
    assert path.read_text() == text.replace("preserve_host: true # why?", "preserve_host: false # why?")


def test_a_correction_shows_no_line_that_it_does_not_change(cli: Cli, file: Callable[[str], Path]) -> None:
    text = edited(('password: "{vault://env/futuresms-password}"', "password: hunter2-hunter2"))
    path = file(text.replace("minute: 300", "minute: 60"))
    assert "hunter2" not in cli("config", "check", path, "--fix", env=ENVIRONMENT).output


# Certificates


def test_a_certificate_s_end_is_read(tmp_path: Path) -> None:
    pem = make_certificate(tmp_path, datetime(2031, 5, 6, tzinfo=timezone.utc))
    assert certificate.ends_at(pem) == datetime(2031, 5, 6, tzinfo=timezone.utc)
    with pytest.raises(certificate.CertificateError):
        certificate.ends_at("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize(
    ("days", "rule"),
    [(-2, "certificate-ended"), (files_named.SOON_DAYS - 2, "certificate-ends"), (400, None)],
)
def test_a_certificate_that_ends_is_told(tmp_path: Path, days: int, rule: str | None) -> None:
    pem = make_certificate(tmp_path, datetime.now(timezone.utc) + timedelta(days=days))
    (tmp_path / "ca.pem").write_text(pem)
    text = edited(
        (
            'password: "{vault://env/futuresms-password}"',
            f'password: "{{vault://env/futuresms-password}}"\n                ca_certificates: {tmp_path}/ca.pem',
        )
    )
    assert rules(check(text)) == ([rule] if rule else [])


def make_certificate(folder: Path, end: datetime) -> str:
    """A certificate of its own authority, in PEM form."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    issued = authority.issue_cert("sms.example.com", not_after=end, not_before=end - timedelta(days=500))
    assert ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
    return str(issued.cert_chain_pems[0].bytes().decode())


# A running Kong


def validating(answering: Callable[..., AnsweringServer], refused: dict[str, str]) -> AnsweringServer:
    """An Admin API that refuses the kinds of entities in `refused`, with these words."""

    def answer(request: tuple[str, str, dict[str, str], bytes]) -> tuple[int, dict[str, str], bytes]:
        kind = request[1].split("/")[2]
        if kind in refused:
            return 400, {}, json.dumps({"message": refused[kind], "code": 2}).encode()
        return 200, {}, b'{"message": "schema validation successful"}'

    return answering(answer)


def test_a_running_kong_is_asked_for_every_entity(
    cli: Cli, file: Callable[[str], Path], answering: Callable[..., AnsweringServer]
) -> None:
    server = validating(answering, {})
    path = file(BASE)
    assert cli("config", "check", path, "--admin-url", server.url, env=ENVIRONMENT).exit_code == 0
    asked = sorted(request[1] for request in server.requests)
    kinds = {"consumers": 2, "services": 1, "routes": 1, "plugins": 3}
    assert asked == sorted(f"/schemas/{kind}/validate" for kind, count in kinds.items() for _ in range(count))
    assert all(request[0] == "POST" for request in server.requests)


def test_what_only_the_running_kong_refuses_is_an_error(
    cli: Cli, file: Callable[[str], Path], answering: Callable[..., AnsweringServer]
) -> None:
    server = validating(answering, {"routes": "schema violation (paths: too long)"})
    result = cli("config", "check", file(BASE), "--admin-url", server.url, env=ENVIRONMENT)
    assert result.exit_code == 1
    assert "too long" in result.output
    assert "[kong-refuses]" in result.output


def test_what_the_running_kong_takes_is_no_error(
    cli: Cli, file: Callable[[str], Path], answering: Callable[..., AnsweringServer]
) -> None:
    path = file(edited(("    retries: 0\n", "    retries: 0\n    an_enterprise_field: 1\n")))
    assert cli("config", "check", path, env=ENVIRONMENT).exit_code == 1
    result = cli("config", "check", path, "--admin-url", validating(answering, {}).url, env=ENVIRONMENT)
    assert result.exit_code == 0
    assert "accepts it" in result.output


def test_an_address_without_an_admin_api_is_a_wrong_call(
    cli: Cli, file: Callable[[str], Path], answering: Callable[..., AnsweringServer]
) -> None:
    server = answering(404, b"<html>not here</html>")
    path = file(BASE)
    assert cli("config", "check", path, "--admin-url", server.url, env=ENVIRONMENT).exit_code == 2
    assert cli("config", "check", path, "--admin-url", "http://127.0.0.1:1", env=ENVIRONMENT).exit_code == 2
