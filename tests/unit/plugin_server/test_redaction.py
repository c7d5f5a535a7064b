"""What is taken out of a text before it is logged."""

from __future__ import annotations

from kong_plugin_server.redaction import Redactor


def test_secret_settings_are_masked_wherever_they_stand() -> None:
    redact = Redactor()
    redact.learn(
        {
            "consumers": [{"username": "acme-manila", "api_keys": ["ystr_key_of_acme"]}],
            "merchant": {"username": "gateway", "password": "pass-word"},
            "rate_limit": {"redis": {"password": "redis-secret"}},
            "__key__": "plugins:yeastar-adapter",
        }
    )
    text = "acme-manila gateway ystr_key_of_acme (pass-word) redis-secret plugins:yeastar-adapter"
    assert redact(text) == ("acme-manila gateway <hidden> (<hidden>) <hidden> plugins:yeastar-adapter")


def test_credentials_are_masked_that_nobody_has_configured() -> None:
    assert Redactor()("{'Authorization': 'Bearer abc.def'}") == "{'Authorization': 'Bearer <hidden>'}"


def test_short_values_are_left_alone() -> None:
    redact = Redactor()
    redact.learn({"password": "a"})
    assert redact("a banana") == "a banana"
