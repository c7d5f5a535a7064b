"""`config.delivery_reports`: what switches reports on, and what an administrator is told."""

from __future__ import annotations

import pytest
from yeastar_adapter.delivery_reports.settings import ReportSettings, is_private

from .conftest import SECRET

GOOD = {"enabled": True, "public_url": "https://sms.example.com", "secret": SECRET}


def parse(**changes):
    return ReportSettings.parse({**GOOD, **changes}, {}, ["acme-manila"])


def test_complete_settings_switch_reports_on_without_a_word():
    settings = parse()
    assert settings.addresses is not None
    assert settings.warnings == ()


def test_reports_are_off_unless_they_are_switched_on():
    assert ReportSettings.parse({}, {}, []) == ReportSettings(None)
    assert parse(enabled=False) == ReportSettings(None)


@pytest.mark.parametrize(
    "secret",
    [
        None,
        "",
        "   ",
        "tiny-Q9",
        "x" * 31,
        "x" * 64,
        "ab" * 32,
        " " * 40,
        "{vault://env/reports-secret }" + "abcdefgh",
    ],
)
def test_a_secret_that_protects_nothing_switches_reports_off(secret):
    settings = parse(secret=secret)
    assert settings.addresses is None
    [warning] = settings.warnings
    assert warning.startswith("delivery_reports.secret ")
    assert warning.endswith("delivery reports are off")
    if secret and secret.strip():
        assert secret not in warning


@pytest.mark.parametrize(
    "url",
    [None, "", " ", "sms.example.com", "ftp://sms.example.com", "https://", "https://u:p@sms.example.com",
     "https://sms.example.com/?x=1", "https://sms.example.com/#x", "https://sms.example.com:99999",
     "https://sms example.com", "https://sms.example.com/\n", "https://smß.example.com"],
)  # fmt: skip
def test_a_public_url_that_is_no_address_switches_reports_off(url):
    settings = parse(public_url=url)
    if url == "https://sms.example.com/\n":  # white space at the ends is nothing
        assert settings.addresses is not None
        return
    assert settings.addresses is None
    [warning] = settings.warnings
    assert warning.startswith("delivery_reports.public_url ")


def test_everything_that_is_missing_is_told_at_once():
    warnings = parse(secret="", public_url="").warnings
    assert [warning.split()[0] for warning in warnings] == [
        "delivery_reports.secret",
        "delivery_reports.public_url",
    ]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://sms.example.com", "not https"),
        ("https://10.0.0.5", "private"),
        ("https://127.0.0.1:8443", "private"),
        ("https://[::1]:8443", "private"),
        ("https://localhost", "private"),
        ("https://gateway", "private"),
        ("https://gateway.internal", "private"),
        ("https://kong.lan.", "private"),
    ],
)
def test_an_address_that_futuresms_will_not_call_is_warned_about_and_used(url, words):
    settings = parse(public_url=url)
    assert settings.addresses is not None
    [warning] = settings.warnings
    assert words in warning


@pytest.mark.parametrize(
    "host", ["sms.example.com", "8.8.8.8", "2606:4700::1111", "[2606:4700::1111]", "a.co", "SMS.EXAMPLE.COM."]
)
def test_a_public_host_is_public(host):
    assert not is_private(host)


@pytest.mark.parametrize(
    "host",
    ["", "localhost", "a.localhost", "192.168.1.1", "172.16.0.1", "169.254.0.1", "100.64.0.1", "fd00::1", "fe80::1",
     "::1", "0.0.0.0", "::ffff:10.0.0.1", "x.local", "X.LOCAL"],
)  # fmt: skip
def test_a_private_host_is_private(host):
    assert is_private(host)


def test_a_consumer_whose_address_would_be_too_long_is_named():
    settings = ReportSettings.parse(GOOD, {}, ["acme", "x" * 120])
    [warning] = settings.warnings
    assert "x" * 120 in warning
    assert "255" in warning
    assert settings.addresses is not None


def test_an_address_of_the_orders_own_is_not_used_beside():
    [warning] = ReportSettings.parse(GOOD, {"dlr_address": "https://elsewhere.example.com"}, []).warnings
    assert warning.startswith("order.dlr_address is not used")
