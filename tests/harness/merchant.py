"""A client of the Merchant API, as the gateway's own sessions are."""

from __future__ import annotations

from typing import Any

import requests

from .stub import LOGIN, PASSWORD, SENDS, USERNAME


class Merchant:
    """One session, logged in when it is made."""

    def __init__(self, url: str, username: str = USERNAME, password: str = PASSWORD) -> None:
        self.url = url
        answer = requests.post(url + LOGIN, json={"username": username, "password": password}, timeout=10)
        assert answer.status_code == 200, answer.text
        self.tokens: dict[str, str] = answer.json()["data"]

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}", **options.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=20, **options)

    def send(self, **changes: Any) -> requests.Response:
        """Send a good order with these fields changed; a field set to `...` is left out."""
        order = {
            "phone_number": "+639171234567",
            "template_id": "TPL1001",
            "sender_id": "SID-1",
            "var": "Your table is ready",
            **changes,
        }
        return self.call("POST", SENDS, json={k: v for k, v in order.items() if v is not ...})
