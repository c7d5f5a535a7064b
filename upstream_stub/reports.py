"""What becomes of accepted orders as time passes, and the delivery reports about it (FutureSMS, "Delivery Reports").

An order is `pending`, then `charged`, then its message has a status, which is reported to the order's `dlr_address`:
`POST`, up to three attempts, until the answer is 200 `{"status": "ok"}`. How it goes is `PUT /__stub__/reports`:

| setting | default | what it is |
| --- | --- | --- |
| `charge_ms` | 1000 | from the order's acceptance to `charged` |
| `delay_ms` | 3000 | from its acceptance to the message's status, and the first attempt |
| `statuses` | see STATUSES | last digits of the recipient → status, longest match wins; null: never; else `DELIVRD` |
| `interim` | null | a status that is reported first, half-way: `ENROUTE` |
| `attempts`, `retry_ms`, `timeout_ms` | 3, 2000, 5000 | how often a report is tried, the pause, the patience |
| `repeat` | 0 | how often a report that was stored is sent again |
| `https_only` | true | false: http addresses too, as on one machine |
| `allow_private` | false | true: loopback and private addresses too |
| `verify_tls` | true | false: any certificate will do |
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
import time
from collections import Counter, deque
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import urlsplit

from . import clock

STATUSES: dict[str, str | None] = {
    "0001": "UNDELIV",
    "0002": "EXPIRED",
    "0003": "REJECTD",
    "0004": "DELETED",
    "0005": "UNKNOWN",
    "0009": None,
}

PRICE_USD = "0.012000"

_AT_ONCE = 32
_KEPT = 10_000
_MOST_ANSWER = 65536


@dataclass(frozen=True, slots=True)
class Settings:
    charge_ms: float = 1000
    delay_ms: float = 3000
    statuses: dict[str, str | None] = field(default_factory=lambda: dict(STATUSES))
    interim: str | None = None
    attempts: int = 3
    retry_ms: float = 2000
    timeout_ms: float = 5000
    repeat: int = 0
    https_only: bool = True
    allow_private: bool = False
    verify_tls: bool = True

    def changed(self, given: Any) -> Settings:
        """These with changes. Raises ValueError, TypeError."""
        if not isinstance(given, dict):
            raise ValueError("reports: must be a JSON object")
        unknown = given.keys() - {one.name for one in fields(Settings)}
        if unknown:
            raise ValueError(f"reports: unknown {', '.join(sorted(unknown))}")
        for name in ("charge_ms", "delay_ms", "retry_ms", "timeout_ms", "attempts", "repeat"):
            value = given.get(name, 0)
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise ValueError(f"reports: {name} must be a number, at least 0")
        statuses = given.get("statuses", {})
        if not isinstance(statuses, dict) or not all(
            s is None or isinstance(s, str) for s in statuses.values()
        ):
            raise ValueError("reports: statuses must be an object of digits → status or null")
        return replace(self, **given)

    def status_for(self, phone_number: str) -> str | None:
        """What becomes of a message to this number."""
        matching = [digits for digits in self.statuses if phone_number.endswith(digits)]
        return self.statuses[max(matching, key=len)] if matching else "DELIVRD"


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one order, and when, in seconds of Unix time."""

    created: float
    charged: float
    ended: float
    status: str | None

    def now(self) -> dict[str, Any]:
        """The fields of a tracked order that change as time passes."""
        now = time.time()
        charged, ended = now >= self.charged, now >= self.ended and self.status is not None
        return {
            "order_status": "charged" if charged else "pending",
            "message_status": self.status if ended else None,
            "merchant_price_usd": PRICE_USD if charged else "0.000000",
            "dlr_available": ended,
            "updated_at": clock.iso(self.ended if ended else self.charged if charged else self.created),
        }


class Reports:
    """Decides what becomes of orders, and reports it. `send` needs a running event loop."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.calls: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self.counts: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    def fate(self, phone_number: str) -> Fate:
        """What will become of an order that is accepted now."""
        now, settings = time.time(), self.settings
        return Fate(
            created=now,
            charged=now + settings.charge_ms / 1000,
            ended=now + settings.delay_ms / 1000,
            status=settings.status_for(phone_number),
        )

    def send(self, report: dict[str, Any], address: str, fate: Fate) -> None:
        """Report an order's fate when it is time to. `report`: its fields but `message_status` and `reported_at`."""
        if fate.status is None:
            return
        task = asyncio.get_running_loop().create_task(self._report(report, address, fate, self.settings))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def clear(self) -> None:
        """Forget what was sent, and what is still to be."""
        for task in self._tasks:
            task.cancel()
        self.calls.clear()
        self.counts.clear()

    def overview(self) -> dict[str, Any]:
        """Settings; `waiting`: orders whose reports are not done; `counts`: see `_report`."""
        settings = {one.name: getattr(self.settings, one.name) for one in fields(Settings)}
        return {"settings": settings, "waiting": len(self._tasks), "counts": dict(self.counts)}

    async def _report(self, report: dict[str, Any], address: str, fate: Fate, settings: Settings) -> None:
        """`counts`: `attempts`; `stored`, `stored DELIVRD` …; `given up` after the last; `not allowed`: no attempt."""
        steps = [(fate.ended, str(fate.status))]
        if settings.interim:
            steps.insert(0, ((fate.created + fate.ended) / 2, settings.interim))
        for at, status in steps:
            await asyncio.sleep(at - time.time())
            body = {**report, "message_status": status, "reported_at": clock.iso(time.time())}
            if not await _is_allowed(address, settings):
                self.counts["not allowed"] += 1
                continue
            for attempt in range(1, settings.attempts + 1):
                if attempt > 1:
                    await asyncio.sleep(settings.retry_ms / 1000)
                if await self._attempt(address, body, attempt, settings):
                    self.counts["stored"] += 1
                    self.counts[f"stored {status}"] += 1
                    break
            else:
                self.counts["given up"] += 1
                continue
            for again in range(settings.repeat):
                await self._attempt(address, body, settings.attempts + 1 + again, settings)

    async def _attempt(self, address: str, body: dict[str, Any], attempt: int, settings: Settings) -> bool:
        call = {"address": address, "attempt": attempt, **body}
        self.counts["attempts"] += 1
        try:
            async with self._at_once:
                status, answer = await asyncio.wait_for(
                    _post(address, json.dumps(body).encode(), settings.verify_tls), settings.timeout_ms / 1000
                )
        except (OSError, ValueError, EOFError, asyncio.TimeoutError) as problem:
            self.calls.append({**call, "status": 0, "problem": type(problem).__name__})
            return False
        self.calls.append({**call, "status": status, "answer": answer})
        return status == 200 and answer == {"status": "ok"}


async def _is_allowed(address: str, settings: Settings) -> bool:
    """Whether FutureSMS would call an address at all: https, and a public host."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme not in (("https",) if settings.https_only else ("http", "https")):
        return False
    if settings.allow_private:
        return bool(host)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port or 443)
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(row[4][0].partition("%")[0]).is_global for row in found)


async def _post(address: str, body: bytes, verify_tls: bool) -> tuple[int, Any]:
    """Post JSON on a connection of its own; the status, and the body as JSON or text."""
    parts = urlsplit(address)
    tls = _tls(verify_tls) if parts.scheme == "https" else None
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port or (443 if tls else 80), ssl=tls, limit=_MOST_ANSWER
    )
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        writer.write(
            (
                f"POST {target or '/'} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                "User-Agent: FutureSMS-DLR/1.0\r\nConnection: close\r\n\r\n"
            ).encode("latin-1")
            + body
        )
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = int(head.split(" ", 2)[1])
        content = await reader.read(_MOST_ANSWER)
    finally:
        writer.close()
    try:
        return status, json.loads(content)
    except ValueError:
        return status, content.decode("utf-8", "replace")


def _tls(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
