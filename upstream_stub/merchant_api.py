"""The documented calls of the Merchant API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .answers import Answer, ApiError, error, success
from .orders import Book, check
from .sessions import Session, Sessions
from .world import Merchant

ORDERS = "/api/v1/sms/orders/"
SENDS = "/api/v1/sms/sends"

Call = Callable[[str, bytes, dict[str, str]], Answer]


class MerchantApi:
    """Answers one call at a time: `answer(method, path, headers, body)`, header names in lower case."""

    def __init__(self, merchants: dict[str, Merchant], sessions: Sessions, book: Book) -> None:
        self.merchants = merchants
        self.sessions = sessions
        self.book = book
        self._calls: dict[str, tuple[str, Call]] = {
            SENDS: ("POST", self._send),
            "/api/v1/auth/login": ("POST", self._login),
            "/api/v1/auth/refresh": ("POST", self._refresh),
            "/api/v1/auth/me": ("GET", self._me),
            "/api/v1/auth/logout": ("POST", self._logout),
        }

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        known = self._calls.get(path)
        if known is None and path.startswith(ORDERS):
            known = ("GET", self._order)
        if known is None:
            return error(404, path, "No such resource")
        expected, call = known
        if method != expected:
            refusal = error(405, path, f"{expected} is the method of this resource")
            refusal.headers.append(("Allow", expected))
            return refusal
        try:
            return call(path, body, headers)
        except ApiError as problem:
            refusal = error(problem.status, path, problem.details, problem.reason)
            if problem.status == 401:
                refusal.headers.append(("WWW-Authenticate", "Bearer"))
            return refusal

    def _login(self, _path: str, body: bytes, headers: dict[str, str]) -> Answer:
        fields = _json_object(body, headers)
        username, password = _credential(fields, "username"), _credential(fields, "password")
        merchant = self.merchants.get(username)
        if merchant is None or merchant.password != password:
            raise ApiError(401, "Invalid username or password", "INVALID_CREDENTIALS")
        if not merchant.active:
            raise ApiError(403, "Merchant account is not active")
        return success(200, self.sessions.open(merchant))

    def _refresh(self, _path: str, body: bytes, headers: dict[str, str]) -> Answer:
        return success(200, self.sessions.rotate(_credential(_json_object(body, headers), "refresh_token")))

    def _me(self, _path: str, _body: bytes, headers: dict[str, str]) -> Answer:
        merchant = self._session(headers).merchant
        profile = {"username": merchant.username, "role": "api_user", "status": "active"}
        return success(200, profile)

    def _logout(self, _path: str, _body: bytes, headers: dict[str, str]) -> Answer:
        self._session(headers).ended = True
        return success(200, None, "Logged out")

    def _send(self, _path: str, body: bytes, headers: dict[str, str]) -> Answer:
        merchant = self._session(headers).merchant
        fields = _json_object(body, headers)
        check(fields)
        order = self.book.accept(merchant.username, body, fields)
        return success(
            202,
            {
                "order_id": order.order_id,
                "order_status": "pending",
                "message_status": None,
                "created_at": order.created_at,
            },
        )

    def _order(self, path: str, _body: bytes, headers: dict[str, str]) -> Answer:
        merchant = self._session(headers).merchant
        return success(200, self.book.find(path[len(ORDERS) :], merchant.username).as_tracked())

    def _session(self, headers: dict[str, str]) -> Session:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ApiError(401, "Bearer access token is missing")
        return self.sessions.session(token.strip())


def _json_object(body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(422, "body: Content-Type must be application/json")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(422, "body: is not valid JSON") from None
    if not isinstance(fields, dict):
        raise ApiError(422, "body: must be a JSON object")
    return fields


def _credential(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ApiError(422, f"{name}: is required")
    return value
