from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest
import requests

from tests.harness.stub import LOGIN, PASSWORD, REFRESH, USERNAME

ME = "/api/v1/auth/me"
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def log_in(stub, username=USERNAME, password=PASSWORD):
    return requests.post(stub.url + LOGIN, json={"username": username, "password": password}, timeout=10)


def refresh(stub, token):
    return requests.post(stub.url + REFRESH, json={"refresh_token": token}, timeout=10)


def assert_is_error_envelope(answer, path):
    body = answer.json()
    assert list(body) == ["error_code", "reason", "message", "details", "path", "timestamp", "request_id"]
    assert body["path"] == path
    assert UTC.fullmatch(body["timestamp"])
    assert body["request_id"].startswith("req_")


def test_login_answers_a_token_pair_with_both_expiry_times_in_utc(stub):
    answer = log_in(stub)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert list(answer.json()) == ["message", "details", "data", "meta"]
    data = answer.json()["data"]
    assert set(data) == {
        "access_token",
        "refresh_token",
        "access_token_expires_at",
        "refresh_token_expires_at",
    }
    expires = datetime.strptime(data["access_token_expires_at"], "%Y-%m-%dT%H:%M:%SZ")
    left = expires.replace(tzinfo=timezone.utc) - datetime.now(timezone.utc)
    assert 1700 < left.total_seconds() <= 1800
    assert data["refresh_token_expires_at"] > data["access_token_expires_at"]


@pytest.mark.parametrize(("username", "password"), [(USERNAME, "wrong"), ("nobody", PASSWORD)])
def test_a_login_with_wrong_credentials_is_told_so(stub, username, password):
    answer = log_in(stub, username, password)
    assert answer.status_code == 401
    assert_is_error_envelope(answer, LOGIN)
    assert (answer.json()["error_code"], answer.json()["reason"]) == ("UNAUTHORIZED", "INVALID_CREDENTIALS")


def test_an_inactive_merchant_can_neither_log_in_nor_use_its_tokens(stub, merchant):
    stub.merchant(USERNAME, active=False)
    assert log_in(stub).json()["error_code"] == "FORBIDDEN"
    assert merchant.send().status_code == 403


def test_a_login_without_password_is_a_validation_error(stub):
    answer = requests.post(stub.url + LOGIN, json={"username": USERNAME}, timeout=10)
    assert answer.status_code == 422
    assert answer.json()["error_code"] == "VALIDATION_ERROR"
    assert answer.json()["details"].startswith("password")


def test_refreshing_gives_a_new_pair_and_kills_the_old_refresh_token_at_once(stub, merchant):
    renewed = refresh(stub, merchant.tokens["refresh_token"])
    assert renewed.status_code == 200
    new = renewed.json()["data"]
    assert not set(new.values()) & {merchant.tokens["access_token"], merchant.tokens["refresh_token"]}

    again = refresh(stub, merchant.tokens["refresh_token"])
    assert (again.status_code, again.json()["error_code"]) == (401, "UNAUTHORIZED")
    assert refresh(stub, new["refresh_token"]).status_code == 200


def test_an_access_token_outlives_the_refresh_that_replaced_it(stub, merchant):
    refresh(stub, merchant.tokens["refresh_token"])
    assert merchant.call("GET", ME).status_code == 200


def test_me_shows_the_api_user(merchant):
    assert merchant.call("GET", ME).json()["data"]["username"] == USERNAME


def test_logging_out_ends_the_session_with_all_its_tokens(stub, merchant):
    assert merchant.call("POST", "/api/v1/auth/logout").status_code == 200
    assert merchant.call("GET", ME).status_code == 401
    assert refresh(stub, merchant.tokens["refresh_token"]).status_code == 401


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer nonsense", "Basic eWVhc3Rhcg=="])
def test_a_call_without_a_good_token_is_unauthorized(stub, header):
    answer = requests.get(stub.url + ME, headers={"Authorization": header} if header else {}, timeout=10)
    assert answer.status_code == 401
    assert_is_error_envelope(answer, ME)
    assert (answer.json()["error_code"], answer.json()["reason"]) == ("UNAUTHORIZED", None)


def test_expired_tokens_are_told_from_unknown_ones(stub, merchant):
    assert stub.expire_tokens() >= 1
    answer = merchant.send()
    assert answer.status_code == 401
    assert answer.json()["reason"] == "TOKEN_EXPIRED"
    assert refresh(stub, merchant.tokens["refresh_token"]).status_code == 200

    stub.expire_tokens(refresh=True)
    assert refresh(stub, merchant.tokens["refresh_token"]).status_code == 401


def test_a_refresh_token_can_run_out_of_time(stub, merchant):
    stub.expire_tokens(refresh=True)
    assert refresh(stub, merchant.tokens["refresh_token"]).json()["reason"] == "TOKEN_EXPIRED"


def test_revoked_tokens_are_unknown(stub, merchant):
    stub.revoke_tokens()
    answer = merchant.send()
    assert (answer.status_code, answer.json()["reason"]) == (401, None)


def test_the_life_time_of_tokens_can_be_set(stub, log_in):
    stub.token_life(access_seconds=0)
    assert log_in().send().json()["reason"] == "TOKEN_EXPIRED"


def test_a_merchant_added_later_has_orders_of_its_own(stub, merchant, log_in):
    stub.merchant("second-gateway", password="another-password")
    second = log_in("second-gateway", "another-password")
    assert merchant.send(client_order_id="client-ord-0001").status_code == 202
    order = second.send(client_order_id="client-ord-0001")
    assert order.status_code == 202
    path = f"/api/v1/sms/orders/{order.json()['data']['order_id']}"
    assert second.call("GET", path).status_code == 200
    assert merchant.call("GET", path).status_code == 404
