"""docker-compose.yml, as far as it can be judged without a Docker engine."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from tests.packaging import dockerfile

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe", pure=True).load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
JOBS = {"check", "database-schema", "database-configuration"}
EXAMPLE = dict(
    line.removeprefix("#").split("=", 1)
    for line in (ROOT / ".env.example").read_text().splitlines()
    if re.match(r"#?[A-Z_]+=", line)
)

every_service = pytest.mark.parametrize("name", sorted(SERVICES))
every_server = pytest.mark.parametrize("name", sorted(SERVICES.keys() - JOBS))


def test_it_is_a_compose_file() -> None:
    schemas = resources.files("check_jsonschema") / "builtin_schemas/vendor"
    schema = json.loads((schemas / "compose-spec.json").read_text())
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


@every_service
def test_a_service_can_write_nowhere_but_where_it_must_and_gains_no_privilege(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid"} & service.keys()


@every_server
def test_every_server_has_a_health_check_and_comes_back_after_a_restart(name: str) -> None:
    service = SERVICES[name]
    own = "healthcheck" in service
    of_image = name == "futuresms" and dockerfile.read(ROOT / "upstream_stub/Dockerfile")[-1].all(
        "HEALTHCHECK"
    )
    assert own or of_image
    assert service["restart"] == "unless-stopped"


def test_whoever_is_waited_for_can_say_that_it_is_ready() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in JOBS else "service_healthy"
            assert how["condition"] == wanted, f"{name} → {other}"


def test_a_job_is_waited_for_by_a_server_or_up_wait_would_take_its_end_for_a_failure() -> None:
    waited_for = {other for name in SERVICES.keys() - JOBS for other in SERVICES[name].get("depends_on", {})}
    assert waited_for >= JOBS


def test_a_service_without_a_profile_depends_on_none_that_has_one() -> None:
    for name, service in SERVICES.items():
        for other in service.get("depends_on", {}):
            profiles = set(SERVICES[other].get("profiles", []))
            assert not profiles or profiles & set(service.get("profiles", [])), f"{name} → {other}"


def test_nothing_but_the_proxy_is_open_to_other_machines() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:") or port.endswith((":8000", ":8443")), f"{name}: {port}"


def test_the_proxy_is_on_8000_and_8443_and_the_admin_api_on_8001_of_this_machine() -> None:
    ports = [_interpolated(port) for port in SERVICES["kong"]["ports"]]
    assert ports == ["8000:8000", "8443:8443", "127.0.0.1:8001:8001"]


def test_no_two_services_want_the_same_port() -> None:
    ports = [
        _interpolated(port).split(":")[-2]
        for service in SERVICES.values()
        for port in service.get("ports", [])
    ]
    assert len(ports) == len(set(ports))


@pytest.mark.parametrize("name", ["kong", "kong-postgres", "check"])
def test_kong_and_its_check_are_given_every_line_of_the_environment_file_as_written(name: str) -> None:
    assert SERVICES[name]["env_file"] == [{"path": ".env", "required": False, "format": "raw"}]


def test_every_vault_reference_of_kong_yml_is_in_the_example_of_the_environment_file() -> None:
    references = re.findall(r"\{vault://env/([\w-]+)\}", (ROOT / "kong.yml").read_text())
    wanted = {reference.upper().replace("-", "_") for reference in references}
    assert wanted
    assert wanted <= EXAMPLE.keys() | SERVICES["kong"]["environment"].keys()


def test_kong_reads_the_file_in_the_directory_that_is_mounted_and_the_check_the_same() -> None:
    [configuration, secrets] = SERVICES["kong"]["volumes"]
    file = f"{configuration['target']}/kong.yml"
    assert _interpolated(SERVICES["kong"]["environment"]["KONG_DECLARATIVE_CONFIG"]) == file
    assert _interpolated(SERVICES["check"]["command"][-1]) == file
    assert _interpolated(configuration["source"]) == "."
    assert secrets["target"] == "/run/secrets"


def test_every_kong_waits_for_the_check_of_its_configuration() -> None:
    for name in ("kong", "database-configuration"):
        assert SERVICES[name]["depends_on"]["check"] == {"condition": "service_completed_successfully"}


def test_one_tag_is_built_once() -> None:
    """Builds of two services differ by a label, and one would recreate the other's containers."""
    assert [name for name, service in SERVICES.items() if "build" in service] == ["check", "futuresms"]


@every_service
def test_no_service_fills_the_disk_or_takes_all_memory_or_processes(name: str) -> None:
    assert SERVICES[name]["logging"]["options"]["max-size"] == "10m"
    assert SERVICES[name]["mem_limit"]
    assert SERVICES[name]["pids_limit"]


def test_the_database_has_no_password_by_default() -> None:
    assert SERVICES["database"]["environment"]["POSTGRES_PASSWORD"] == "${POSTGRES_PASSWORD:-}"
    assert EXAMPLE["POSTGRES_PASSWORD"] == ""


def test_every_variable_is_in_the_example_of_the_environment_file_with_its_default() -> None:
    used = dict(re.findall(r"\$\{([A-Z_]+)(?::-([^}$]*))?", TEXT))
    for variable, default in used.items():
        assert variable in EXAMPLE
        assert EXAMPLE[variable].startswith(default)
    assert EXAMPLE.keys() - used.keys() == {"FUTURESMS_USERNAME", "FUTURESMS_PASSWORD"}


def test_everything_that_is_mounted_from_here_exists() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
            source = _interpolated(source)
            if source.startswith("."):
                assert (ROOT / source).exists(), f"{name}: {source}"
            else:
                assert source in COMPOSE["volumes"], f"{name}: {source}"


def test_kong_may_write_its_prefix_even_after_a_restart() -> None:
    """A tmpfs takes the mode of the directory that it covers, if there is one: the image has it, open to all."""
    for name in ("kong", "kong-admin", "kong-postgres"):
        prefix = SERVICES[name]["environment"]["KONG_PREFIX"]
        assert f"{prefix}:mode=1777" in SERVICES[name]["tmpfs"]
        assert f"mkdir -m 1777 {prefix}" in (ROOT / "kong/Dockerfile").read_text()


def test_the_service_of_kong_yml_is_a_service_here() -> None:
    kong_yml = YAML(typ="safe", pure=True).load(ROOT / "kong.yml")
    host, port = re.fullmatch(r"http://(\w+):(\d+)", kong_yml["services"][0]["url"]).groups()
    assert SERVICES[host]["ports"][0].endswith(f":{port}")


def test_the_node_of_the_administrators_starts_no_plugin_server() -> None:
    """Where one was started, `GET /` of Kong 3.9's Admin API is a 500, and decK asks that first."""
    environment = SERVICES["kong-admin"]["environment"]
    server = environment["KONG_PLUGINSERVER_NAMES"]
    assert f"KONG_PLUGINSERVER_{server.upper()}_QUERY_CMD" in environment
    assert f"KONG_PLUGINSERVER_{server.upper()}_START_CMD" not in environment
    assert not re.search(rf"/usr/local/bin/{server}\b", (ROOT / "kong/Dockerfile").read_text())


def _interpolated(text: str) -> str:
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_podman_is_asked_for_no_start_interval() -> None:
    text = (ROOT / "docker-compose.podman.yml").read_text()
    without = {
        name
        for name, said in re.findall(r"^  ([\w-]+): (.*)$", text, re.M)
        if "start_interval: !reset" in said
    }
    assert without == {
        name for name, service in SERVICES.items() if "start_interval" in service.get("healthcheck", {})
    }
