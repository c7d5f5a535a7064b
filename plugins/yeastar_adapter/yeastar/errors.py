"""Yeastar's error catalogue: what a PBX is told, and nothing else (contract, section 1)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Error:
    """One entry of the catalogue: HTTP status, Yeastar code, title."""

    status: int
    code: str
    title: str


INVALID_PHONE_NUMBER = Error(400, "10001", "Invalid phone number")
INVALID_PARAMETER = Error(400, "10002", "Invalid parameter")
UNSUPPORTED_MEDIA = Error(400, "10003", "Unsupported media")
AUTHENTICATION_FAILED = Error(401, "10004", "Authentication failed")
NO_PERMISSION = Error(403, "10005", "No permission")
TOO_MANY_REQUESTS = Error(429, "10006", "Too many requests")
SERVICE_UNAVAILABLE = Error(500, "10007", "Service unavailable")

CATALOGUE = (
    INVALID_PHONE_NUMBER,
    INVALID_PARAMETER,
    UNSUPPORTED_MEDIA,
    AUTHENTICATION_FAILED,
    NO_PERMISSION,
    TOO_MANY_REQUESTS,
    SERVICE_UNAVAILABLE,
)

# Only these say more than their title: what a PBX user can correct. The others would tell a stranger
# something about keys, set-up or FutureSMS.
EXPLAINED = frozenset({INVALID_PHONE_NUMBER, INVALID_PARAMETER, UNSUPPORTED_MEDIA})


@dataclass(eq=False)
class Refusal(Exception):
    """A request answered with one entry of Yeastar's error catalogue.

    `detail` goes to the PBX, for 10001–10003 only; `reason` goes to the log and never to the PBX;
    `headers` go with the answer.
    """

    error: Error
    detail: str | None = None
    reason: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.error.code} {self.error.title}: {self.reason or self.detail or self.error.title}"

    @property
    def body(self) -> str:
        """The JSON body of the answer."""
        detail = self.detail if self.error in EXPLAINED and self.detail else self.error.title
        return json.dumps(
            {"errors": [{"code": self.error.code, "title": self.error.title, "detail": detail}]}
        )


class DestinationRefused(Refusal):
    """10005: a recipient in a region that `recipients.countries` leaves out."""

    def __init__(self, recipient: str, region: str) -> None:
        super().__init__(NO_PERMISSION, reason=f"recipients.countries does not include {region}")
        self.recipient = recipient
        self.region = region
