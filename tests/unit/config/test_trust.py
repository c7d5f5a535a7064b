"""Files of certificates and verification that is off: what an administrator is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yeastar_adapter.settings import Settings

from tests.harness.authority import Authority

KEYS = ("ystr_test_acme_manila_0123456789", "ystr_test_globex_cebu_0123456789")


def parse(*merchants: dict[str, Any], merchant: dict[str, Any] | None = None, **rate_limit: Any) -> Settings:
    """A consumer for each of `merchants`, which override `merchant`."""
    return Settings.parse(
        {
            "consumers": [
                {"username": f"pbx-{number}", "api_keys": [KEYS[number]], "merchant": own}
                for number, own in enumerate(merchants)
            ],
            "order": {"template_id": "TPL1001", "sender_id": "SID-1"},
            "merchant": {"username": "u", "password": "p", "timeout_ms": 3000, **(merchant or {})},
            "rate_limit": {"policy": "redis", **rate_limit},
        }
    )


def test_a_file_that_cannot_be_used_refuses_its_consumer_and_disturbs_no_other(tmp_path: Path) -> None:
    missing, good = str(tmp_path / "missing.pem"), str(Authority(tmp_path).certificate)
    settings = parse({"ca_certificates": missing}, {"ca_certificates": good})
    assert settings.consumers["pbx-0"].merchant is None
    other = settings.consumers["pbx-1"].merchant
    assert other is not None
    assert other.ca_certificates == good
    assert settings.warnings == (
        f"consumer pbx-0: merchant.ca_certificates: {missing} cannot be read: No such file or directory; "
        "its messages are refused with 10005",
    )


def test_a_file_of_redis_that_cannot_be_used_is_named_and_refuses_nobody(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    redis = {"ssl": True, "ca_certificates": str(tmp_path / "text.pem")}
    settings = parse({}, redis=redis)
    assert settings.consumers["pbx-0"].merchant is not None
    assert settings.rate_limit.redis.ca_certificates == str(tmp_path / "text.pem")
    assert settings.warnings == (
        f"this instance: rate_limit.redis.ca_certificates: {tmp_path}/text.pem holds no certificate in PEM form; "
        "Redis counts as away until it can be used",
    )


def test_verification_of_redis_that_is_off_is_told() -> None:
    assert parse({}, redis={"ssl": True}).warnings == ()
    [warning] = parse({}, redis={"ssl": True, "ssl_verify": False}).warnings
    assert "rate_limit.redis.ssl_verify is off" in warning
