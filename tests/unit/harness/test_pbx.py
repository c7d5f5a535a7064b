from __future__ import annotations

import json

import pytest

from tests.harness.pbx import Answer, Journal, violations

TITLES = {
    "10002": (400, "Invalid parameter"),
    "10005": (403, "No permission"),
    "10006": (429, "Too many requests"),
}


def answer(code="10005", *, status=None, title=None, detail=None, headers=None, body=None):
    good_status, good_title = {**TITLES, "10004": (401, "Authentication failed")}[code]
    title = title or good_title
    told = detail or ("'to' is missing" if code == "10002" else title)
    error = {"code": code, "title": title, "detail": told}
    raw = json.dumps({"errors": [error]} if body is None else body).encode()
    return Answer(
        status or good_status,
        {"content-type": "application/json", **(headers or {})},
        raw,
        json.loads(raw),
    )


@pytest.mark.parametrize(
    "good",
    [
        answer("10002"),
        answer("10005"),
        answer("10004", headers={"www-authenticate": "Bearer"}),
        answer("10006", headers={"retry-after": "3"}),
        Answer(200, {}, b"{}", {}),
    ],
)
def test_an_answer_of_the_contract_is_in_order(good):
    assert violations(good) == []


@pytest.mark.parametrize(
    "bad",
    [
        answer("10005", status=400),
        answer("10005", title="Not allowed"),
        answer("10005", detail="consumer acme-manila is switched off"),
        answer("10002", detail="Invalid parameter"),
        answer("10002", detail=" "),
        answer("10005", headers={"content-type": "text/html"}),
        answer("10005", headers={"content-type": "application/json; charset=utf-8"}),
        answer("10004"),
        answer("10006"),
        answer("10006", headers={"retry-after": "0"}),
        answer("10006", headers={"retry-after": "soon"}),
        answer("10005", body={"message": "no"}),
        answer("10005", body={"errors": []}),
        answer("10005", body={"errors": [{"code": "10005", "title": "No permission"}]}),
        answer(
            "10005", body={"errors": [{"code": "99", "title": "No permission", "detail": "No permission"}]}
        ),
        answer("10005", body=[1]),
        Answer(502, {"content-type": "application/json"}, b"oh", None),
        Answer(302, {}, b"", None),
        Answer(200, {"x-yeastar-adapter": "1"}, b"{}", {}),
        Answer(200, {"set-cookie": "a=1"}, b"{}", {}),
        Answer(200, {"server": "futuresms-stub"}, b"{}", {}),
    ],
)
def test_an_answer_outside_the_contract_is_noticed(bad):
    assert violations(bad)


def test_the_journal_remembers_what_was_outside_the_contract():
    journal = Journal()
    journal.note("GET", "/", answer("10005"))
    journal.note("GET", "/", answer("10005", status=400))
    assert journal.seen == {403: 1, 400: 1}
    [outside] = journal.outside
    assert "not in the catalogue" in outside
