"""What a Yeastar PBX does with a gateway: `verify` and `sendmessage` over HTTP."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from .paths import SEND, VERIFY


class Unreachable(Exception):
    """No HTTP answer came; the text says why."""


@dataclass(frozen=True)
class Answer:
    """The gateway's answer and the seconds it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def document(self) -> Any:
        """The body as JSON, or None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def error(self) -> dict[str, Any] | None:
        """The one entry of Yeastar's error form: `code`, `title`, `detail`; None for another body."""
        document = self.document
        errors = document.get("errors") if isinstance(document, dict) else None
        if not isinstance(errors, list) or len(errors) != 1 or not isinstance(errors[0], dict):
            return None
        return errors[0] if isinstance(errors[0].get("code"), str) else None

    @property
    def order_id(self) -> str | None:
        """`data.id` of an accepted message."""
        document = self.document
        data = document.get("data") if isinstance(document, dict) else None
        order_id = data.get("id") if isinstance(data, dict) else None
        return order_id if isinstance(order_id, str) else None


class _Bearer(requests.auth.AuthBase):
    # As `auth`, not as a plain header: requests would let a ~/.netrc entry for the host win over the header.
    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class Pbx:
    """One PBX with one key. Not for use by several threads at once: each makes its own."""

    def __init__(self, url: str, key: str, timeout: float = 10, verify_tls: bool | str = True) -> None:
        """`url`: the gateway's address; either of the two end points does as well. `verify_tls`: also a PEM file
        with the authorities to trust. Raises ValueError."""
        self.base = base_url(url)
        self._timeout = timeout
        self._session = requests.Session()
        self._session.auth = _Bearer(key)
        self._session.verify = verify_tls
        self._session.headers["User-Agent"] = "yeastarctl"

    def verify(self) -> Answer:
        """What the PBX does when its channel is saved. Raises Unreachable."""
        return self._ask("GET", VERIFY, None)

    def send(self, sender: str, recipient: str, text: str | None, media: list[str] | None = None) -> Answer:
        """One message. Raises Unreachable."""
        message: dict[str, Any] = {"from": sender, "to": recipient, "text": text}
        if media:
            message["media_urls"] = media
        return self._ask("POST", SEND, message)

    def close(self) -> None:
        self._session.close()

    def _ask(self, method: str, path: str, message: dict[str, Any] | None) -> Answer:
        started = time.perf_counter()
        try:
            answer = self._session.request(
                method,
                self.base + path,
                json=message,
                timeout=self._timeout,
                allow_redirects=False,
                # Said with the request: what the session says, requests lets REQUESTS_CA_BUNDLE override.
                verify=self._session.verify,
            )
        except requests.RequestException as error:
            raise Unreachable(reason(error)) from error
        return Answer(answer.status_code, answer.headers, answer.content, time.perf_counter() - started)


def base_url(url: str) -> str:
    """The part of `url` that comes before the two end points. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the address must look like https://gateway.example.com")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("the address has a user name, a query or a fragment in it; leave it out")
    base = url.rstrip("/")
    for path in (VERIFY, SEND):
        base = base.removesuffix(path)
    return base


def reason(error: Exception) -> str:
    """The cause of a failed request in words, without the stack of exceptions around it."""
    if isinstance(error, requests.exceptions.SSLError):
        return f"the TLS certificate was not accepted: {_innermost(error)}"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection within the time limit"
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer within the time limit"
    return _innermost(error)


def _innermost(error: BaseException) -> str:
    seen: BaseException = error
    while True:
        inner = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        if not isinstance(inner, BaseException):
            inner = seen.__cause__ or seen.__context__
        if inner is None or inner is seen:
            break
        seen = inner
    text = getattr(seen, "strerror", None) or str(seen) or type(seen).__name__
    return str(text)
