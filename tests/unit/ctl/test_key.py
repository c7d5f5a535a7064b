"""`yeastarctl key`."""

from __future__ import annotations

import hashlib
import json

import pytest
from ruamel.yaml import YAML
from yeastar_adapter.settings import Settings
from yeastarctl.key import digest, new_key, variable, vault_name

from tests.unit.ctl.conftest import Cli


def test_a_new_key_is_shown_once_with_its_hash_and_what_to_paste(cli: Cli) -> None:
    result = cli("key", "new", "--consumer", "acme-manila")
    assert result.exit_code == 0
    (key,) = {word for word in result.output.split() if word.startswith("ystr_")}
    assert result.output.count(key) == 1
    assert f"sha256:{hashlib.sha256(key.encode()).hexdigest()}" in result.output
    assert "{vault://env/acme-manila-key}" in result.output
    assert "ACME_MANILA_KEY" in result.output


def test_the_plugin_accepts_the_key_whose_hash_was_pasted(cli: Cli) -> None:
    made = json.loads(cli("key", "new", "--consumer", "acme-manila", "--json").stdout)
    pasted = YAML(typ="safe").load(made["yaml"]["hash"])
    settings = Settings.parse(pasted)
    assert hashlib.sha256(made["key"].encode()).digest() in settings.keys


def test_the_variable_of_the_yaml_to_paste_is_the_one_that_is_named(cli: Cli) -> None:
    made = json.loads(cli("key", "new", "--consumer", "Acme Manila 2", "--json").stdout)
    assert made["environment"] == {variable(vault_name("Acme Manila 2")): made["hash"]}
    assert list(made["environment"]) == ["ACME_MANILA_2_KEY"]
    assert "{vault://env/acme-manila-2-key}" in made["yaml"]["vault"]


def test_a_consumer_whose_name_yaml_would_misread_is_pasted_in_quotes(cli: Cli) -> None:
    made = json.loads(cli("key", "new", "--consumer", "acme: #1", "--json").stdout)
    assert YAML(typ="safe").load(made["yaml"]["hash"])["consumers"][0]["username"] == "acme: #1"


def test_keys_differ_are_long_and_fit_into_a_header() -> None:
    keys = {new_key("acme") for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        random = key.removeprefix("ystr_acme_")
        assert len(random) >= 32
        assert key.isascii()
        assert key.replace("_", "").replace("-", "").isalnum()


def test_the_consumer_s_name_is_in_its_key() -> None:
    assert new_key("Acme Manila").startswith("ystr_acme_manila_")


def test_a_name_without_a_letter_is_a_wrong_call(cli: Cli) -> None:
    assert cli("key", "new", "--consumer", "--").exit_code == 2
    assert cli("key", "new").exit_code == 2


def test_a_key_from_standard_input_is_hashed(cli: Cli) -> None:
    key = "ystr_demo_acme_manila_7Jw2pVqX9sKd4nBt"
    result = cli("key", "hash", input=key + "\n")
    assert (result.exit_code, result.stdout.strip()) == (0, digest(key))
    assert json.loads(cli("key", "hash", "--json", input=key).stdout) == {
        "hash": digest(key),
        "problem": None,
    }


@pytest.mark.parametrize(
    "key", ["", "   ", "short", " leading-space-0123456789", "größer-als-zwanzig-zeichen"]
)
def test_a_key_that_no_pbx_could_use_is_not_hashed(cli: Cli, key: str) -> None:
    result = cli("key", "hash", input=key + "\n")
    assert result.exit_code == 1
    assert "sha256:" not in result.stdout
