"""An address says which order it is for, and nobody but the gateway can make one."""

from __future__ import annotations

import hmac

import pytest
from yeastar_adapter.delivery_reports.address import PATH, Reference, ReportAddresses, reference_of

from .conftest import HANDED_OVER, MESSAGE, ORDER, SECRET


def test_an_address_is_read_back(addresses, reference_text):
    assert addresses.read(reference_text) == Reference("acme-manila", ORDER, MESSAGE, HANDED_OVER)


def test_an_address_is_the_public_url_and_the_reports_path(addresses):
    address = addresses.make("acme-manila", ORDER, MESSAGE, HANDED_OVER)
    assert address.startswith("https://sms.example.com" + PATH)
    assert len(address) <= 255


def test_a_slash_at_the_end_of_the_public_url_changes_nothing(addresses):
    slashed = ReportAddresses("https://sms.example.com/", SECRET)
    assert slashed.make("a", ORDER, MESSAGE, 1.0) == addresses.make("a", ORDER, MESSAGE, 1.0)


def test_every_character_of_a_reference_counts(addresses, reference_text):
    # The last character of base64url may hold bits that nothing is made of.
    for index in range(len(reference_text) - 1):
        other = "A" if reference_text[index] != "A" else "B"
        assert addresses.read(reference_text[:index] + other + reference_text[index + 1 :]) is None


def test_a_mac_is_compared_in_constant_time(addresses, reference_text, monkeypatch):
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or compare(a, b))
    assert addresses.read(reference_text) is not None
    assert addresses.read("A" * len(reference_text)) is None
    assert [len(a) == len(b) >= 16 for a, b in compared] == [True, True]


@pytest.mark.parametrize("text", ["", "A", "AAAA", "x" * 80, "é" * 80, "A" * 100_000, "=" * 72])
def test_anything_else_is_no_reference(addresses, text):
    assert addresses.read(text) is None


def test_another_secret_makes_other_addresses(reference_text):
    assert ReportAddresses("https://sms.example.com", SECRET + "x").read(reference_text) is None


def test_the_name_of_the_consumer_cannot_be_moved_into_another_field(addresses):
    one = addresses.make("acme", ORDER, MESSAGE, 1.0)
    other = addresses.make("acm", ORDER, MESSAGE, 1.0)
    assert addresses.read(one.rpartition("/")[2]).consumer == "acme"
    assert addresses.read(other.rpartition("/")[2]).consumer == "acm"
    assert one != other


@pytest.mark.parametrize("request_id", ["", "not hexadecimal", "abcd", "00"])
def test_a_request_id_of_another_form_is_left_out(addresses, request_id):
    address = addresses.make("acme", ORDER, request_id, 1.0)
    assert addresses.read(address.rpartition("/")[2]).request_id == ""


@pytest.mark.parametrize("name", ["Zürich-büro", "マニラ", "a b/c?d", "x" * 60, "\udce9"])
def test_any_name_of_a_consumer_is_carried(addresses, name):
    address = addresses.make(name, ORDER, MESSAGE, 1.0)
    assert address.isascii()
    assert addresses.read(address.rpartition("/")[2]).consumer == name


def test_no_address_is_longer_than_futuresms_takes(addresses):
    for length in range(1, 200):
        address = addresses.make("x" * length, ORDER, MESSAGE, 1.0)
        room = addresses.room("x" * length)
        assert (address is None) == (room < 0)
        if address is not None:
            assert len(address) == 255 - room


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"POST {PATH}abc HTTP/1.1", "abc"),
        (f"GET {PATH}abc HTTP/1.1", "abc"),
        (f"POST {PATH}abc?x=1 HTTP/1.1", "abc"),
        (f"POST {PATH}abc/ HTTP/1.1", "abc"),
        (f"POST {PATH} HTTP/1.1", ""),
        (f"POST {PATH[:-1]} HTTP/1.1", ""),
        ("POST /api/v1/integration/yeastar/sms/%72eports/abc HTTP/1.1", "abc"),
        ("POST /api/v1/integration/yeastar/sms//reports/abc HTTP/1.1", "abc"),
        ("POST /api/v1/integration/yeastar/sms/sendmessage HTTP/1.1", None),
        ("GET /api/v1/integration/yeastar/sms/verify?/reports/ HTTP/1.1", None),
        ("POST /api/v1/integration/yeastar/sms/reports/../sendmessage HTTP/1.1", None),
        ("POST /api/v1/integration/yeastar/sms/reportsabc HTTP/1.1", None),
        ("", None),
        ("garbage", None),
    ],
)
def test_the_reports_path_is_told_from_the_endpoints(line, found):
    assert reference_of(line) == found
