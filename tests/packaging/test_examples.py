"""The examples, each loaded into a gateway and used by its PBXs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.harness.gateway import Gateway, wait_until
from tests.harness.kong_yml import KongYml
from tests.harness.pbx import Pbx
from tests.harness.stub import PASSWORD, USERNAME, StubClient

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
DECLARATIVE = sorted(EXAMPLES.glob("*/kong.yml"))
PROVIDED_BY_DECK = "_info"

KEYS = {
    f"{name}_KEY": f"key-of-{name.lower()}-0123456789"
    for name in ("ACME_MANILA", "ACME_DAVAO", "GLOBEX_CEBU", "INITECH_CLARK")
}
NEXT_KEY = {"ACME_DAVAO_KEY_NEXT": "next-key-of-acme-davao-0123456789"}
ACCOUNTS = {
    f"{tenant}FUTURESMS_{what}": value
    for tenant in ("", "ACME_", "GLOBEX_", "INITECH_")
    for what, value in (("USERNAME", USERNAME), ("PASSWORD", PASSWORD))
}
ACME_KEY_AUTH = "example_acme_manila_replace_me_2f7Kq9"
GLOBEX_KEY_AUTH = "example_globex_cebu_replace_me_8mW3xT"

Serve = Callable[[KongYml], Callable[[str | None], Pbx]]


def declarative(name: str) -> KongYml:
    """An example as Kong reads it."""
    configuration = KongYml.read(EXAMPLES / name / "kong.yml")
    configuration.pop(PROVIDED_BY_DECK, None)
    return configuration


MANIFESTS = tuple(
    EXAMPLES / "kubernetes" / name for name in ("gateway.yaml", "consumers.yaml", "secrets.yaml")
)
BEARER = tuple(sorted((EXAMPLES / "kubernetes-bearer").glob("[1-9]*.yaml")))


def from_manifests(paths: tuple[Path, ...] = MANIFESTS) -> KongYml:
    """A Kubernetes example as the ingress controller hands it to Kong.

    A plugin that is annotated at a consumer and at the ingress belongs to that consumer on that route; the host of
    the service is a name that only Kong's balancer knows, for which the stub's address is put in.
    """
    manifests = [one for path in paths for one in YAML(typ="safe").load_all(path.read_text())]
    kinds: dict[str, dict[str, Any]] = {}
    for one in manifests:
        kinds.setdefault(one["kind"], {})[one["metadata"]["name"]] = one
    [ingress] = kinds["Ingress"].values()
    service = kinds["Service"]["futuresms"]
    [rule] = ingress["spec"]["rules"]
    annotations, said = ingress["metadata"]["annotations"], service["metadata"]["annotations"]
    path = rule["http"]["paths"][0]["path"]
    assert path.startswith("/~")
    route = {
        "name": "ingress",
        "paths": [path.removeprefix("/")],
        "strip_path": annotations["konghq.com/strip-path"] == "true",
        "preserve_host": annotations["konghq.com/preserve-host"] == "true",
    }
    owners: dict[str, str] = {}
    consumers = []
    for name, consumer in kinds["KongConsumer"].items():
        own = consumer["metadata"]["annotations"].get("konghq.com/plugins", "")
        owners |= dict.fromkeys(filter(None, own.split(",")), name)
        secrets = consumer.get("credentials", [])
        keys = [{"key": kinds["Secret"][secret]["stringData"]["key"]} for secret in secrets]
        consumers.append(
            {
                "username": consumer["username"],
                "custom_id": consumer["custom_id"],
                "keyauth_credentials": keys,
            }
        )
    plugins = []
    for name in annotations["konghq.com/plugins"].strip().split(","):
        manifest = kinds["KongPlugin"][name]
        plugin = {
            "name": manifest["plugin"],
            "enabled": not manifest.get("disabled", False),
            "route": "ingress",
        }
        plugin |= {"config": manifest.get("config", {})} | (
            {"consumer": owners[name]} if name in owners else {}
        )
        plugins.append(plugin)
    assert owners.keys() <= set(annotations["konghq.com/plugins"].strip().split(","))
    times = {
        f"{what}_timeout": int(said[f"konghq.com/{what}-timeout"]) for what in ("connect", "write", "read")
    }
    return KongYml(
        _format_version="3.0",
        consumers=consumers,
        services=[
            {
                "name": service["metadata"]["name"],
                "url": "http://futuresms:8080",
                "retries": int(said["konghq.com/retries"]),
                **times,
                "routes": [route],
            }
        ],
        plugins=plugins,
    )


@pytest.fixture
def serve(gateway: Gateway, kong_yml: KongYml, pbx_at: Callable[..., Pbx]) -> Iterator[Serve]:
    """Load an example, with this session's addresses and with values for its vault references."""

    def load(example: KongYml) -> Callable[[str | None], Pbx]:
        example["services"][0]["url"] = kong_yml.service["url"]
        for rate_limit in _values(example, "rate_limit"):
            for window in ("second", "minute", "hour", "day"):  # the tests share a Redis server
                rate_limit.pop(window, None)
            if "redis" in rate_limit:
                rate_limit["redis"] = kong_yml.config["rate_limit"]["redis"]
        for merchant in _values(example, "merchant"):
            merchant.pop("base_url", None)
        example.resolve_vaults({**KEYS, **NEXT_KEY, **ACCOUNTS})
        gateway.load(example)
        return lambda key: pbx_at(gateway.proxy_url, key=key)

    return load


def _values(value: Any, name: str) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get(name), dict):
            yield value[name]
        for inner in value.values():
            yield from _values(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, name)


def test_kong_s_own_key_auth_with_an_instance_for_each_pbx(serve: Serve, stub: StubClient) -> None:
    pbx = serve(declarative("key-auth"))
    assert pbx(ACME_KEY_AUTH).verify().status == 200
    assert pbx(ACME_KEY_AUTH).send().status == 200
    assert stub.orders()[-1]["sender_id"] == "SID-1001"
    assert pbx(GLOBEX_KEY_AUTH).send().code == "10005"
    assert pbx("somebody-elses-key-0123456789").send().code == "10004"


def test_the_switch_of_an_instance(serve: Serve) -> None:
    example = declarative("key-auth")
    for plugin in example["plugins"]:
        plugin["enabled"] = not plugin.get("enabled", True)
    pbx = serve(example)
    assert pbx(ACME_KEY_AUTH).verify().code == "10005"
    assert pbx(GLOBEX_KEY_AUTH).verify().status == 200


def test_tenants_have_their_own_accounts_senders_and_switches(serve: Serve, stub: StubClient) -> None:
    stub.merchant("globex-account", password="globex-password")
    example = declarative("tenants")
    example.entry("globex-cebu")["merchant"] = {"username": "globex-account", "password": "globex-password"}
    pbx = serve(example)
    assert pbx(KEYS["ACME_MANILA_KEY"]).send().status == 200
    assert pbx(KEYS["ACME_DAVAO_KEY"]).send().status == 200
    assert pbx(NEXT_KEY["ACME_DAVAO_KEY_NEXT"]).verify().status == 200
    assert pbx(KEYS["GLOBEX_CEBU_KEY"]).send(from_="+63280000002").status == 200
    assert pbx(KEYS["GLOBEX_CEBU_KEY"]).send(from_="+63280000003").code == "10005"
    assert pbx(KEYS["INITECH_CLARK_KEY"]).send().code == "10005"
    assert [order["sender_id"] for order in stub.orders()] == ["SID-1001", "SID-1001", "SID-1002"]


def test_a_tenant_without_an_account_is_refused_and_nobody_else_s_is_used(
    serve: Serve, stub: StubClient
) -> None:
    example = declarative("tenants")
    unset = {"username": "{vault://env/not-set-username}", "password": "{vault://env/not-set-password}"}
    example.entry("acme-manila")["merchant"] = unset
    pbx = serve(example)
    assert pbx(KEYS["ACME_MANILA_KEY"]).send().code == "10005"
    assert pbx(KEYS["ACME_DAVAO_KEY"]).send().status == 200
    assert len(stub.orders()) == 1


def test_reports_come_on_the_second_route(serve: Serve, stub: StubClient, gateway: Gateway) -> None:
    example = declarative("delivery-reports")
    settings = {"public_url": gateway.proxy_url, "secret": "example-of-a-secret-0123456789abcdef"}
    example.config["delivery_reports"].update(settings)  # one record, by its anchor, for both routes
    stub.report(https_only=False, allow_private=True, charge_ms=0, delay_ms=0, retry_ms=0)
    assert serve(example)(KEYS["ACME_MANILA_KEY"]).send().status == 200
    wait_until(lambda: stub.reports()["waiting"] == 0, 60, "the report to be done")
    assert stub.reports()["counts"] == {"attempts": 1, "stored": 1, "stored DELIVRD": 1}


def test_what_deck_synchronises(serve: Serve, stub: StubClient) -> None:
    pbx = serve(declarative("deck"))
    assert pbx(KEYS["ACME_MANILA_KEY"]).send().status == 200
    assert stub.orders()[-1]["sender_id"] == "SID-1001"
    assert pbx(KEYS["GLOBEX_CEBU_KEY"]).send().code == "10005"


def test_bearer_keys_and_redis_on_kubernetes(serve: Serve, stub: StubClient) -> None:
    pbx = serve(from_manifests(BEARER))
    assert pbx(KEYS["ACME_MANILA_KEY"]).verify().status == 200
    assert pbx(KEYS["ACME_MANILA_KEY"]).send().status == 200
    assert stub.orders()[-1]["sender_id"] == "SID-1001"
    assert pbx(KEYS["ACME_MANILA_KEY"]).send(to="+6591234567").code == "10005"
    assert pbx(KEYS["GLOBEX_CEBU_KEY"]).send().code == "10005"
    assert pbx(None).send(key=None).code == "10004"


def test_bearer_manifests_find_their_variables_secrets_and_redis() -> None:
    kinds: dict[str, dict[str, Any]] = {}
    for path in BEARER:
        for one in YAML(typ="safe").load_all(path.read_text()):
            where = (one["metadata"].get("namespace", ""), one["metadata"]["name"])
            kinds.setdefault(one["kind"], {})[where] = one
    values = [EXAMPLES / "kubernetes/gateway-values.yaml", EXAMPLES / "kubernetes-bearer/bearer-values.yaml"]
    variables: dict[str, Any] = {}
    for path in values:
        variables |= YAML(typ="safe").load(path.read_text())["gateway"]["customEnv"]
    text = (EXAMPLES / "kubernetes-bearer/40-plugins.yaml").read_text()
    wanted = {name.replace("-", "_") for name in re.findall(r"\{vault://env/([\w-]+)\}", text)}
    assert wanted == variables.keys()
    for variable in variables.values():
        reference = variable["valueFrom"]["secretKeyRef"]
        assert reference["key"] in kinds["Secret"]["kong", reference["name"]]["stringData"]
    host = kinds["KongPlugin"]["yeastar", "yeastar-adapter"]["config"]["rate_limit"]["redis"]["host"]
    name, namespace = host.split(".")[:2]
    service = kinds["Service"][namespace, name]
    labels = kinds["Deployment"][namespace, name]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels


def test_what_the_ingress_controller_makes_of_the_manifests(serve: Serve, stub: StubClient) -> None:
    pbx = serve(from_manifests())
    assert pbx(ACME_KEY_AUTH).verify().status == 200
    assert pbx(ACME_KEY_AUTH).send().status == 200
    assert stub.orders()[-1]["sender_id"] == "SID-1001"
    assert pbx(GLOBEX_KEY_AUTH).send().code == "10005"
    assert pbx(None).send(key=None).code == "10004"


@pytest.mark.parametrize("path", DECLARATIVE, ids=lambda path: path.parent.name)
def test_the_adapter_stands_nowhere_without_reader_and_guard(path: Path) -> None:
    names = {plugin["name"] for plugin in _route(path)["plugins"]}
    assert {"yeastar-reader", "yeastar-adapter", "yeastar-guard"} <= names


@pytest.mark.parametrize("path", [ROOT / "kong.yml", *EXAMPLES.rglob("*.y*ml")], ids=str)
def test_no_configuration_holds_lua(path: Path) -> None:
    assert "pre-function" not in path.read_text()
    assert "post-function" not in path.read_text()


@pytest.mark.parametrize("name", ["key-auth", "tenants", "deck"])
def test_kong_takes_it_as_it_stands(gateway: Gateway, name: str) -> None:
    gateway.load(declarative(name))


def test_no_secret_stands_in_an_example_that_could_be_a_reference() -> None:
    for path in DECLARATIVE:
        for merchant in _values(YAML(typ="safe").load(path.read_text()), "merchant"):
            assert all(
                re.fullmatch(r"\{vault://env/[\w-]+\}", merchant[name]) for name in ("username", "password")
            )


def test_the_plugin_server_of_kubernetes_is_not_started_by_kong() -> None:
    """Or `GET /` of Kong 3.9's Admin API, which the ingress controller asks first, would be a 500."""
    gateway = YAML(typ="safe").load((EXAMPLES / "kubernetes/gateway-values.yaml").read_text())["gateway"]
    env = gateway["env"]
    name = env["pluginserver_names"]
    assert f"pluginserver_{name}_start_cmd" not in env
    assert name != "yeastar-adapter"
    [sidecar] = gateway["deployment"]["sidecarContainers"]
    options = dict(option.removeprefix("--").split("=") for option in sidecar["command"][1:])
    assert env[f"pluginserver_{name}_socket"] == f"{options['kong-prefix']}/{options['socket-name']}"
    [shared] = gateway["deployment"]["userDefinedVolumeMounts"]
    assert sidecar["volumeMounts"] == [shared]
    assert shared["mountPath"] == options["kong-prefix"]


def test_every_vault_reference_of_the_manifests_is_a_variable_of_the_gateway() -> None:
    text = (EXAMPLES / "kubernetes/consumers.yaml").read_text()
    wanted = {name.replace("-", "_") for name in re.findall(r"\{vault://env/([\w-]+)\}", text)}
    gateway = YAML(typ="safe").load((EXAMPLES / "kubernetes/gateway-values.yaml").read_text())["gateway"]
    assert wanted == gateway["customEnv"].keys()


def _route(path: Path) -> dict[str, Any]:
    route, *_ = YAML(typ="safe").load(path.read_text())["services"][0]["routes"]
    found: dict[str, Any] = route
    return found
