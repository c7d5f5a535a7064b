"""The catalogue, as the contract prints it."""

from __future__ import annotations

import json

import pytest
from yeastar_adapter.yeastar import errors
from yeastar_adapter.yeastar.errors import CATALOGUE, Error, Refusal

CONTRACT = [
    (400, "10001", "Invalid phone number"),
    (400, "10002", "Invalid parameter"),
    (400, "10003", "Unsupported media"),
    (401, "10004", "Authentication failed"),
    (403, "10005", "No permission"),
    (429, "10006", "Too many requests"),
    (500, "10007", "Service unavailable"),
]


def test_the_catalogue_is_the_contract_s() -> None:
    assert [(e.status, e.code, e.title) for e in CATALOGUE] == CONTRACT


@pytest.mark.parametrize("error", CATALOGUE, ids=lambda e: e.code)
def test_the_body_is_one_error_of_three_strings(error: Error) -> None:
    [entry] = json.loads(Refusal(error, "why").body)["errors"]
    assert entry.keys() == {"code", "title", "detail"}
    assert (entry["code"], entry["title"]) == (error.code, error.title)


@pytest.mark.parametrize("error", [e for e in CATALOGUE if e.code > "10003"], ids=lambda e: e.code)
def test_neither_detail_nor_reason_leaves_where_it_could_tell_a_stranger_something(error: Error) -> None:
    assert json.loads(Refusal(error, "a detail", "a reason").body)["errors"][0]["detail"] == error.title


def test_the_reason_is_for_the_log() -> None:
    refused = Refusal(errors.NO_PERMISSION, reason="consumer 'x' is switched off")
    assert str(refused) == "10005 No permission: consumer 'x' is switched off"
    assert "switched" not in refused.body
