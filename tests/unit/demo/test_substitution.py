from __future__ import annotations

import pytest

from kong.embedded.substitution import Declaration, DemoError

KONG_YML = """
_format_version: "3.0"
services:
  - name: futuresms
    url: https://api.example.com
    routes:
      - name: yeastar-sms
        paths: ["~/api/v1/integration/yeastar/sms/(verify|sendmessage)$"]
        plugins:
          - name: yeastar-adapter
            config:
              consumers:
                - username: acme-manila
                  api_keys: [sha256:00]
                  merchant: {username: own-user, password: "{vault://env/own-password}", base_url: https://other.example.com}
              merchant: {username: "{vault://env/futuresms-username}", password: "{vault://env/futuresms-password}"}
              rate_limit: {second: 5, policy: redis, redis: {host: redis, password: secret, ssl: true, timeout_ms: 50}}
  - name: other
    url: http://other.example.com
"""


@pytest.fixture
def declaration(tmp_path):
    path = tmp_path / "kong.yml"
    path.write_text(KONG_YML)
    return Declaration.read(path)


def config(declaration):
    return declaration.plugins[0]["config"]


def test_the_service_with_the_plugin_moves_to_the_stub_and_no_other(declaration):
    [service, account] = declaration.use_upstream("http://127.0.0.1:9")
    assert (service.before, service.after) == ("https://api.example.com", "http://127.0.0.1:9")
    assert account.before == "https://other.example.com"
    urls = [service["url"] for service in declaration.document["services"]]
    assert urls == ["http://127.0.0.1:9", "http://other.example.com"]
    assert config(declaration)["consumers"][0]["merchant"]["base_url"] == "http://127.0.0.1:9"


def test_counters_move_to_the_redis_server_of_this_machine(declaration):
    assert declaration.uses_redis
    [redis] = declaration.use_redis(7)
    assert (redis.before, redis.after) == ("redis:6379", "127.0.0.1:7")
    assert config(declaration)["rate_limit"]["redis"] == {"host": "127.0.0.1", "port": 7, "timeout_ms": 50}


def test_local_counters_need_no_redis(declaration):
    config(declaration)["rate_limit"]["policy"] = "local"
    assert not declaration.uses_redis
    assert declaration.use_redis(7) == []


def test_missing_credentials_are_those_of_the_stub_and_the_password_is_not_shown(declaration):
    environ = {"OWN_PASSWORD": "own-secret"}
    used, keys = declaration.set_variables(environ, "stub-user", "stub-secret")
    assert keys == {}
    assert environ["FUTURESMS_USERNAME"] == "stub-user"
    assert environ["FUTURESMS_PASSWORD"] == "stub-secret"
    assert [one.where.partition(" ")[0] for one in used] == ["FUTURESMS_USERNAME", "FUTURESMS_PASSWORD"]
    assert "stub-secret" not in str(used)


def test_variables_that_are_set_are_left_alone(declaration):
    environ = {"FUTURESMS_USERNAME": "me", "FUTURESMS_PASSWORD": "mine", "OWN_PASSWORD": "own"}
    assert declaration.set_variables(environ, "stub-user", "stub-secret") == ([], {})
    assert declaration.credentials(environ) == [("me", "mine"), ("own-user", "own")]


def test_a_blank_variable_counts_as_missing(declaration):
    environ = {"FUTURESMS_USERNAME": "", "FUTURESMS_PASSWORD": "mine", "OWN_PASSWORD": "own"}
    declaration.set_variables(environ, "stub-user", "stub-secret")
    assert environ["FUTURESMS_USERNAME"] == "stub-user"


def test_missing_keys_are_made_and_returned(declaration):
    config(declaration)["consumers"][0]["api_keys"] = ["{vault://env/a-key}", "{vault://env/b-key}"]
    environ = {"B_KEY": "set"}
    _used, keys = declaration.set_variables(environ, "stub-user", "stub-secret")
    assert set(keys) == {"A_KEY"}
    assert environ["A_KEY"] == keys["A_KEY"]
    assert len(keys["A_KEY"]) >= 20


def test_what_is_not_set_can_be_written_out(declaration):
    declaration.write_out({"OWN_PASSWORD": "own"}, {"OWN_PASSWORD": "other", "FUTURESMS_PASSWORD": "made"})
    assert config(declaration)["merchant"]["password"] == "made"
    assert config(declaration)["merchant"]["username"] == "{vault://env/futuresms-username}"
    assert config(declaration)["consumers"][0]["merchant"]["password"] == "{vault://env/own-password}"


def test_an_option_that_is_not_set_is_left_out(declaration):
    config(declaration)["metrics"] = {"listen": "{vault://env/metrics-listen}"}
    declaration.drop_unset_options({"METRICS_LISTEN": "127.0.0.1:1"})
    assert config(declaration)["metrics"] == {"listen": "{vault://env/metrics-listen}"}
    declaration.drop_unset_options({})
    assert config(declaration)["metrics"] == {}


def test_all_other_missing_variables_are_named_at_once_with_their_fields(declaration):
    config(declaration)["order"] = {
        "sender_id": "{vault://env/my-sender}",
        "template_id": "{vault://env/my-template}",
    }
    with pytest.raises(DemoError) as refused:
        declaration.set_variables({}, "stub-user", "stub-secret")
    assert "MY_SENDER" in str(refused.value)
    assert "plugins[yeastar-adapter].config.order.sender_id" in str(refused.value)
    assert "MY_TEMPLATE" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("services: [\nb: 1\n", "kong.yml:3: not YAML"),
        ("- a\n", "a mapping"),
        ("", "a mapping"),
        ("services: []\n", "no plugin yeastar-adapter"),
        ("a: \x07\n", "not YAML"),
    ],
)
def test_a_broken_file_is_told_in_one_line(tmp_path, text, told):
    path = tmp_path / "kong.yml"
    path.write_text(text)
    with pytest.raises(DemoError) as refused:
        Declaration.read(path)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_told_with_what_to_do(tmp_path):
    with pytest.raises(DemoError, match="KONG_YML"):
        Declaration.read(tmp_path / "absent.yml")


def test_the_projects_kong_yml_needs_nothing_but_the_stubs_credentials(monkeypatch):
    from tests.harness.stub import ROOT

    environ: dict[str, str] = {}
    Declaration.read(ROOT / "kong.yml").set_variables(environ, "stub-user", "stub-secret")
    assert set(environ) == {"FUTURESMS_USERNAME", "FUTURESMS_PASSWORD"}


def test_what_several_instances_share_by_a_yaml_alias_is_told_once(tmp_path):
    path = tmp_path / "kong.yml"
    path.write_text("""
_format_version: "3.0"
plugins:
  - {name: yeastar-adapter, consumer: one, config: &same {rate_limit: {policy: redis, redis: {host: r}}}}
  - {name: yeastar-adapter, consumer: two, config: {<<: *same, recipient_check: mobile}}
""")
    [redis] = Declaration.read(path).use_redis(7)
    assert (redis.before, redis.after) == ("r:6379", "127.0.0.1:7")
