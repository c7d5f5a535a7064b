"""`config.delivery_reports`: whether reports are asked for, and where they come to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .address import LONGEST, ReportAddresses

SECRET_AT_LEAST = 32
"""Shortest secret that is accepted, in characters."""

# Names that FutureSMS cannot resolve, or that lead to itself.
_PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".home", ".test", ".invalid", ".home.arpa")


@dataclass(frozen=True)
class ReportSettings:
    """`addresses` None: reports are off."""

    addresses: ReportAddresses | None
    warnings: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls, record: Mapping[str, Any], order: Mapping[str, Any], consumers: Iterable[str]
    ) -> ReportSettings:
        """Read `delivery_reports` beside `order` and the usernames of `consumers`.

        What makes reports impossible switches them off: messages go out without. The warnings name the field.
        """
        if not record.get("enabled"):
            return cls(None)
        missing = [*_unusable_secret(record.get("secret")), *_unusable_url(record.get("public_url"))]
        if missing:
            return cls(None, tuple(f"{problem}; delivery reports are off" for problem in missing))
        addresses = ReportAddresses(record["public_url"].strip(), record["secret"])
        warnings = list(_doubts(record["public_url"].strip()))
        if order.get("dlr_address"):
            warnings.append("order.dlr_address is not used: with delivery_reports.enabled reports come here")
        warnings += [
            f"delivery_reports.public_url: with it the address of a report for consumer {name!r} is "
            f"{-addresses.room(name)} characters longer than the {LONGEST} that FutureSMS takes; "
            "its orders ask for no report"
            for name in consumers
            if addresses.room(name) < 0
        ]
        return cls(addresses, tuple(warnings))


def _unusable_secret(secret: Any) -> Iterator[str]:
    name = "delivery_reports.secret"
    if not isinstance(secret, str):
        yield f"{name} is not set"
    elif not secret.strip():
        yield f"{name} is blank (a vault variable that is not set?)"
    elif secret.lstrip().startswith("{vault"):
        # Taken for a secret, it would be one that everybody knows who has seen the configuration.
        yield f"{name} is a vault reference with a mistake in it"
    elif len(secret.strip()) < SECRET_AT_LEAST:
        yield f"{name} is shorter than {SECRET_AT_LEAST} characters"
    elif len(set(secret.strip())) < _DIFFERENT:
        yield f"{name} has fewer than {_DIFFERENT} different characters: it can be guessed"


_DIFFERENT = 8


def _unusable_url(url: Any) -> Iterator[str]:
    name = "delivery_reports.public_url"
    if not isinstance(url, str):
        yield f"{name} is not set"
    elif not url.strip():
        yield f"{name} is blank (a vault variable that is not set?)"
    elif not _is_address(url.strip()):
        yield f"{name} is not an address such as https://sms.example.com"


def _is_address(url: str) -> bool:
    """Scheme, host, and perhaps port and path, all of it fit for a URL. `urlsplit` alone overlooks line breaks."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        beside = parts.username is not None or parts.query or parts.fragment
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not beside
    except ValueError:
        return False


def _doubts(url: str) -> Iterator[str]:
    """What FutureSMS will not call: the reports are asked for, and never come."""
    name = "delivery_reports.public_url"
    parts = urlsplit(url)
    if parts.scheme != "https":
        yield f"{name} is not https: FutureSMS sends reports to https addresses only"
    if is_private(parts.hostname or ""):
        yield f"{name} names a private address: FutureSMS sends reports to public ones only"


def is_private(host: str) -> bool:
    """Whether a host is none that the internet reaches, as far as its name tells."""
    host = host.strip("[]").rstrip(".").lower()
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE_NAMES)
