"""Orders, looked up at FutureSMS in the accounts that are known."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import requests
from yeastar_adapter.futuresms.merchant import Account

from ..pbx import reason
from .tracked import Tracked

_SECONDS = 10
_REFUSED = (400, 401, 403, 422)


class Unreachable(Exception):
    """FutureSMS does not answer, or not as FutureSMS would."""


class NotAllowed(Exception):
    """FutureSMS refuses the log-in, or the look-up."""


class Ledger:
    """The orders of one account. One log-in for all of them: FutureSMS may lock an account after several bad ones."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = account.ca_certificates or True
        self._logged_in = False

    def find(self, order_id: str) -> Tracked | None:
        """The order, or None when this account has none of that id. Raises Unreachable, NotAllowed."""
        if not self._logged_in:
            self._log_in()
        path = f"/api/v1/sms/orders/{quote(order_id, safe='')}"
        answer = self._call("GET", path)
        if answer.status_code == 401:  # its token's time is over
            self._log_in()
            answer = self._call("GET", path)
        if answer.status_code in (404, 422):
            return None
        if answer.status_code in (401, 403):
            raise NotAllowed(f"{self.account.username} may not look up orders ({answer.status_code})")
        fields = _content(answer)
        if answer.status_code != 200 or not fields.get("order_id"):
            raise Unreachable(f"{self.account.base_url} answers {answer.status_code} to the look-up")
        return Tracked(fields)

    def close(self) -> None:
        """End the session at FutureSMS, which matters to nobody if it fails."""
        if self._logged_in:
            with suppress(Unreachable):
                self._call("POST", "/api/v1/auth/logout")
        self._session.close()

    def _log_in(self) -> None:
        credentials = {"username": self.account.username, "password": self.account.password}
        answer = self._call("POST", "/api/v1/auth/login", credentials)
        token = _content(answer).get("access_token")
        if answer.status_code in _REFUSED:
            raise NotAllowed(
                f"FutureSMS refuses the log-in of {self.account.username} ({answer.status_code})"
            )
        if not isinstance(token, str) or not token:
            raise Unreachable(f"{self.account.base_url} answers {answer.status_code} without a token")
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._logged_in = True

    def _call(self, method: str, path: str, fields: dict[str, str] | None = None) -> requests.Response:
        headers = {} if fields is None else {"Authorization": None}
        try:
            return self._session.request(
                method,
                self.account.base_url.rstrip("/") + path,
                json=fields,
                headers=headers,
                timeout=_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise Unreachable(f"{self.account.base_url} does not answer: {reason(error)}") from error


class Ledgers:
    """The accounts, asked one after the other. A log-in that was refused is not tried again."""

    def __init__(self, ledgers: Sequence[Ledger]) -> None:
        self._ledgers = list(ledgers)
        self._home: dict[str, Ledger] = {}
        self.problems: list[Unreachable | NotAllowed] = []

    def find(self, order_id: str) -> Tracked | None:
        """The order, in whichever account it is. `problems` says which accounts could not be asked."""
        home = self._home.get(order_id)
        for ledger in [home] if home else list(self._ledgers):
            try:
                found = ledger.find(order_id)
            except (Unreachable, NotAllowed) as problem:
                if str(problem) not in map(str, self.problems):
                    self.problems.append(problem)
                if isinstance(problem, NotAllowed):
                    self._ledgers = [one for one in self._ledgers if one is not ledger]
                continue
            if found is not None:
                self._home[order_id] = ledger
                return found
        return None

    def close(self) -> None:
        """End every session."""
        for ledger in self._ledgers:
            ledger.close()


def _content(answer: requests.Response) -> dict[str, Any]:
    try:
        data = answer.json()["data"]
    except (ValueError, KeyError, TypeError):
        return {}
    return data if isinstance(data, dict) else {}
