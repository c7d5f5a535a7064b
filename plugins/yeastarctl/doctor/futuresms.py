"""A FutureSMS Merchant account: log-in, profile, logout; and what its clock says."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from yeastar_adapter import trust
from yeastar_adapter.futuresms.merchant import Account

from ..pbx import reason
from .line import Line

_SKEW = 30.0  # seconds
_SHORT_LIFE = 120.0
_SOON_DAYS = 30


def check(account: Account) -> Iterator[Line]:
    """Log in as the gateway does, read the profile and log out; sends no message.

    One attempt only: FutureSMS may lock an account after several wrong passwords.
    """
    subject = f"FutureSMS {account.username}"
    chain = list(_chain(account))
    yield from chain
    if any(line.state == "fail" for line in chain):
        return  # nobody is told the password
    with requests.Session() as session:
        session.trust_env = False
        # The authorities that the adapter trusts; requests has a bundle of its own.
        session.verify = account.ca_certificates or trust.default_bundle()
        started = time.perf_counter()
        try:
            answer = _call(session, account, "POST", "/api/v1/auth/login", _credentials(account))
        except requests.RequestException as error:
            yield Line(
                "fail",
                subject,
                f"{account.base_url} does not answer: {reason(error)}",
                "check the service's url (or merchant.base_url), DNS and the firewall; PBXs get 10007",
            )
            return
        took = (time.perf_counter() - started) * 1000
        data = _data(answer)
        token = data.get("access_token")
        if not token:
            yield _refused(subject, account, answer)
            return
        yield Line("ok", subject, f"log-in at {account.base_url} in {took:.0f} ms")
        yield _clock(answer)
        yield _life(subject, data, answer)
        session.headers["Authorization"] = f"Bearer {token}"
        yield from _profile(subject, session, account)


def _chain(account: Account) -> Iterator[Line]:
    """What a server shows over TLS, judged by the authorities that the adapter trusts."""
    parts = urlsplit(account.base_url)
    if parts.scheme != "https" or not parts.hostname:
        return
    subject = f"TLS {parts.hostname}"
    try:
        chain = trust.describe(parts.hostname, parts.port or 443, account.ca_certificates)
    except trust.TrustError as problem:
        yield Line(
            "fail",
            subject,
            str(problem),
            "merchant.ca_certificates names a PEM file that Kong's user can read",
        )
        return
    except OSError:
        return  # nothing answers, or no TLS: the log-in says so
    shown = chain.certificates[0] if chain.certificates else None
    of = f"the certificate of {shown.subject} by {shown.issuer}" if shown else "the certificate"
    if chain.problem:
        yield Line(
            "fail",
            subject,
            f"{of} is not trusted: {chain.problem} (authorities: {chain.bundle})",
            "a private authority: merchant.ca_certificates; another name: the service's url; PBXs get 10007",
        )
        return
    until = f", until {shown.not_after:%Y-%m-%d}" if shown else ""
    ends = shown is not None and shown.not_after - datetime.now(timezone.utc) < timedelta(days=_SOON_DAYS)
    yield Line("warn" if ends else "ok", subject, f"{chain.protocol}, {of}{until}; trusted by {chain.bundle}")


def _profile(subject: str, session: requests.Session, account: Account) -> Iterator[Line]:
    try:
        profile = _call(session, account, "GET", "/api/v1/auth/me")
        if profile.status_code != 200:
            yield Line(
                "warn", subject, f"the profile (auth/me) answers {profile.status_code}", "ask FutureSMS"
            )
        goodbye = _call(session, account, "POST", "/api/v1/auth/logout")
        if goodbye.status_code >= 300:
            yield Line("warn", subject, f"logout answers {goodbye.status_code}: this session stays open")
    except requests.RequestException as error:
        yield Line("warn", subject, f"after the log-in: {reason(error)}", "ask FutureSMS")


def _call(
    session: requests.Session, account: Account, method: str, path: str, fields: dict[str, str] | None = None
) -> requests.Response:
    return session.request(
        method, account.base_url.rstrip("/") + path, json=fields, timeout=10, allow_redirects=False
    )


def _credentials(account: Account) -> dict[str, str]:
    return {"username": account.username, "password": account.password}


def _data(answer: requests.Response) -> dict[str, Any]:
    try:
        data = answer.json()["data"]
    except (ValueError, KeyError, TypeError):
        return {}
    return data if isinstance(data, dict) else {}


def _refused(subject: str, account: Account, answer: requests.Response) -> Line:
    if answer.status_code in (400, 401, 403, 422):
        return Line(
            "fail",
            subject,
            f"log-in refused ({answer.status_code})",
            "check merchant.username and password and the account at FutureSMS; PBXs get 10005",
        )
    return Line(
        "fail",
        subject,
        f"{account.base_url}/api/v1/auth/login answers {answer.status_code} without a token",
        "is this address FutureSMS? PBXs get 10007",
    )


def _clock(answer: requests.Response) -> Line:
    skew = (datetime.now(timezone.utc) - server_time(answer)).total_seconds()
    if abs(skew) > _SKEW:
        return Line(
            "warn",
            "clock",
            f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} FutureSMS's",
            "run NTP on this machine: log lines and certificates depend on it",
        )
    return Line("ok", "clock", f"within {max(1, round(abs(skew)))} s of FutureSMS's")


def _life(subject: str, data: dict[str, Any], answer: requests.Response) -> Line:
    try:
        end = datetime.fromisoformat(str(data.get("access_token_expires_at")).replace("Z", "+00:00"))
    except ValueError:
        return Line(
            "warn", subject, "does not say when a token expires", "the gateway takes 300 s; ask FutureSMS"
        )
    if end.tzinfo is None:
        end = end.replace(tzinfo=timezone.utc)
    life = (end - server_time(answer)).total_seconds()
    if life < _SHORT_LIFE:
        return Line(
            "warn", subject, f"its tokens live {life:.0f} s", "the gateway renews them often; ask FutureSMS"
        )
    return Line("ok", subject, f"its tokens live {life / 60:.0f} minutes")


def server_time(answer: requests.Response) -> datetime:
    """The `Date` of an answer; this machine's time where there is none."""
    try:
        date = parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, ValueError, TypeError):
        return datetime.now(timezone.utc)
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
