"""A Yeastar PBX: asks the gateway what a PBX asks, and holds every answer against the contract."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .secrets import Secrets

VERIFY = "/api/v1/integration/yeastar/sms/verify"
SENDMESSAGE = "/api/v1/integration/yeastar/sms/sendmessage"
DEMO_KEY = "ystr_demo_acme_manila_7Jw2pVqX9sKd4nBt"
DEMO_KEY_OFF = "ystr_demo_globex_cebu_Qm5TzL8rYc3WhN6v"

CATALOGUE = {
    "10001": (400, "Invalid phone number"),
    "10002": (400, "Invalid parameter"),
    "10003": (400, "Unsupported media"),
    "10004": (401, "Authentication failed"),
    "10005": (403, "No permission"),
    "10006": (429, "Too many requests"),
    "10007": (500, "Service unavailable"),
}
_WITH_DETAIL = {"10001", "10002", "10003"}

_LEAKS = ("x-yeastar-adapter", "set-cookie")
_NOT_GIVEN: Any = object()


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. `headers` by lower-case name, repeated ones joined by `, `; `json` None where it is none."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any

    @property
    def code(self) -> str | None:
        """`10001` … `10007`; None of a success."""
        return self._error("code")

    @property
    def title(self) -> str | None:
        return self._error("title")

    @property
    def detail(self) -> str | None:
        return self._error("detail")

    @property
    def order_id(self) -> str | None:
        """`data.id` of an accepted message."""
        return self.json["data"].get("id") if self.status == 200 else None

    def _error(self, name: str) -> str | None:
        return self.json["errors"][0][name] if self.status >= 400 else None


def violations(answer: Answer) -> list[str]:
    """What in an answer is against the contract (its section 1), each in a few words."""
    found = [f"the header {name} reached the PBX" for name in _LEAKS if name in answer.headers]
    if "futuresms" in answer.headers.get("server", "").lower():
        found.append("the upstream's Server header reached the PBX")
    if answer.status < 400:
        if answer.status != 200:
            found.append(f"status {answer.status} is no success of the contract")
        return found
    if answer.headers.get("content-type") != "application/json":
        found.append(f"Content-Type is {answer.headers.get('content-type')!r}")
    try:
        [error] = answer.json["errors"]
        same_shape = set(answer.json) == {"errors"} and set(error) == {"code", "title", "detail"}
    except (TypeError, KeyError, ValueError):
        same_shape = False
    if not same_shape:
        return [*found, "the body is not one Yeastar error"]
    code = error["code"]
    if CATALOGUE.get(code) != (answer.status, error["title"]):
        return [*found, f"{answer.status} {code!r} {error['title']!r} is not in the catalogue"]
    detail = error["detail"]
    if code in _WITH_DETAIL:
        if not isinstance(detail, str) or not detail.strip() or detail == error["title"]:
            found.append(f"the detail of {code} does not say which field and why")
    elif detail != error["title"]:
        found.append(f"the detail of {code} does not repeat the title")
    if answer.status == 401 and answer.headers.get("www-authenticate") != "Bearer":
        found.append("401 without WWW-Authenticate: Bearer")
    if answer.status == 429 and not _whole_seconds(answer.headers.get("retry-after")):
        found.append("429 without Retry-After in whole seconds")
    return found


class Journal:
    """How many answers of each status were seen, and those that were outside the contract. Thread-safe."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.outside: list[str] = []
        self._lock = threading.Lock()

    def note(self, method: str, path: str, answer: Answer) -> list[str]:
        found = violations(answer)
        with self._lock:
            self.seen[answer.status] = self.seen.get(answer.status, 0) + 1
            if found:
                self.outside.append(
                    f"{method} {path} → {answer.status}: {'; '.join(found)}: {answer.body[:300]!r}"
                )
        return found


class Pbx:
    """A PBX at one gateway. Safe to use from several threads; each request has a connection of its own.

    `ca`: the authority that it trusts at an `https://` address.
    """

    def __init__(
        self,
        proxy_url: str,
        *,
        key: str = DEMO_KEY,
        journal: Journal | None = None,
        secrets: Secrets | None = None,
        timeout: float = 70,
        ca: Path | None = None,
    ) -> None:
        address = urlsplit(proxy_url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        self._tls = ssl.create_default_context(cafile=ca) if address.scheme == "https" else None
        self.key = key
        self.journal = journal or Journal()
        self.secrets = secrets or Secrets()
        self.timeout = timeout

    def verify(self, key: str | None = _NOT_GIVEN, **options: Any) -> Answer:
        """Ask whether a key is good; `key` None: without an Authorization header."""
        return self.request("GET", VERIFY, headers=self._headers(key), **options)

    def send(
        self,
        from_: Any = "+63280000001",
        to: Any = "+639171234567",
        text: Any = "Your table is ready",
        *,
        key: str | None = _NOT_GIVEN,
        media_urls: Any = _NOT_GIVEN,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Answer:
        """Send a message. `text`, `media_urls` and so on go as they are, whatever their type."""
        message = {"from": from_, "to": to, "text": text}
        if media_urls is not _NOT_GIVEN:
            message["media_urls"] = media_urls
        for value in (from_, to, text):
            self.secrets.guard(value)
        return self.post(json.dumps(message), key=key, headers=headers, **options)

    def post(
        self,
        body: bytes | str,
        *,
        key: str | None = _NOT_GIVEN,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Answer:
        """POST a body as it is to sendmessage."""
        return self.request(
            "POST",
            SENDMESSAGE,
            body=body.encode() if isinstance(body, str) else body,
            headers={"Content-Type": "application/json", **self._headers(key), **(headers or {})},
            **options,
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        checked: bool = True,
        timeout: float | None = None,
    ) -> Answer:
        """Any request. `checked=False` for what the contract leaves to Kong: other paths, broken HTTP.

        Raises OSError or http.client.HTTPException where no whole answer comes.
        """
        connection = self._connection(timeout or self.timeout)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            answer = _answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()
        if checked:
            found = self.journal.note(method, path, answer)
            assert not found, f"{method} {path} → {answer.status}: {'; '.join(found)}: {answer.body[:500]!r}"
        return answer

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)

    def _headers(self, key: str | None) -> dict[str, str]:
        used = self.key if key is _NOT_GIVEN else key
        if used is None:
            return {}
        self.secrets.guard(used)
        return {"Authorization": f"Bearer {used}"}


def steadily(send: Callable[[], Answer], count: int, rate: float) -> list[Answer]:
    """Send so many messages at so many a second, as a PBX does: each at its time, whatever became of the others."""
    started = time.monotonic()

    def one(number: int) -> Answer:
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
        return send()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def _answer(status: int, rows: list[tuple[str, str]], body: bytes) -> Answer:
    headers: dict[str, str] = {}
    for name, value in rows:
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    return Answer(status, headers, body, parsed)


def _whole_seconds(value: str | None) -> bool:
    return value is not None and value.isascii() and value.isdigit() and int(value) >= 1
