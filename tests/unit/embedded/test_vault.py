"""`{vault://env/…}`: which variable, which part of it, and what happens without one."""

from __future__ import annotations

import logging

import pytest
from kong_declarative.vault import EnvironmentVault, is_reference

ENVIRON = {
    "MY_KEY": "s3cret",
    "SSL_CERT": "certificate",
    "DATABASE": '{"user": "kong", "port": 5432}',
    "KEY": "new",
    "KEY_PREVIOUS": "old",
    "A/B": "in a folder",
}


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("{vault://env/my-key}", "s3cret"),
        ("{vault://env/MY_key}", "s3cret"),
        ("{vault://env/cert?prefix=ssl-}", "certificate"),
        ("{vault://env/database/user}", "kong"),
        ("{vault://env/key#1}", "new"),
        ("{vault://env/key#2}", "old"),
        ("{vault://env/a/b/}", "in a folder"),
        ("{vault://env/my%2Dkey}", "s3cret"),
    ],
)
def test_a_reference_names_a_variable(reference: str, value: str) -> None:
    assert EnvironmentVault(ENVIRON)(reference) == value


def test_a_prefix_can_stand_in_kongs_own_settings() -> None:
    assert EnvironmentVault({**ENVIRON, "KONG_VAULT_ENV_PREFIX": "my_"})("{vault://env/key}") == "s3cret"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("{vault://env/nothing}", "no value found"),
        ("{vault://env/database/nothing}", "subfield nothing not found in JSON secret"),
        ("{vault://env/database/port}", "unexpected type of value in JSON secret"),
        ("{vault://env/my-key/part}", "unable to json decode value"),
        ("{vault://aws/my-key}", "could not find vault (aws)"),
        ("{vault://env}", "missing path"),
        ("{vault://env/}", "empty path"),
        ("{vault:///key}", "missing host"),
        ("{vault://env/key#x}", "invalid version"),
    ],
)
def test_a_reference_without_a_value_is_empty_and_one_line_in_the_log(
    reference: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert EnvironmentVault(ENVIRON)(reference) == ""

    assert len(caplog.records) == 1
    assert reason in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("text", ["vault://env/key", "{vault://env/key", "{other://env/key}", "", None, 5])
def test_other_values_are_no_references(text: object) -> None:
    assert not is_reference(text)
