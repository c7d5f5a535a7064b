from __future__ import annotations

from tests.harness.secrets import Secrets


def test_a_secret_in_a_log_is_found_with_its_line():
    secrets = Secrets()
    secrets.guard("ystr_demo_key_of_a_pbx")
    [hit] = secrets.found_in("one line\nkey ystr_demo_key_of_a_pbx refused\n")
    assert "key ystr_demo_key_of_a_pbx refused" in hit


def test_a_phone_number_is_found_without_its_plus_too():
    secrets = Secrets()
    secrets.guard("+639171234567")
    assert secrets.found_in("to 639171234567")


def test_a_shortened_phone_number_is_no_secret():
    secrets = Secrets()
    secrets.guard("+639171234567")
    assert secrets.found_in("to +63*****4567") == []


def test_short_texts_and_other_types_are_not_looked_for():
    secrets = Secrets()
    secrets.guard_all(["Hello", None, 12345678, ["a long enough text"]])
    assert secrets.found_in("Hello None 12345678 a long enough text") == []
