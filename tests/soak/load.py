"""PBXs that send at a steady rate, whatever comes back and however late."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.harness.pbx import DEMO_KEY, SENDMESSAGE, VERIFY, Answer, violations

KINDS = ("message",) * 11 + ("stranger",) * 2 + ("invalid", "invalid", "verify")
"""What the requests are, in turn: 11 of 16 become orders, the others are refused, or order nothing."""

RECIPIENTS = tuple(f"+6391{number:08}" for number in range(71234500, 71236500))
CONNECTIONS = 200
"""At most so many requests are under way; a request that finds none free waits, and its wait counts."""

LONGEST = 60.0
"""Seconds after which a request counts as never answered."""


@dataclass
class Sent:
    """One request: seconds since the start when it was due, seconds until its answer, and what came.

    `status` 0: the connection ended before a whole answer. `order_id` of a message that was accepted.
    """

    number: int
    kind: str
    due: float
    seconds: float
    status: int
    order_id: str | None


@dataclass
class Load:
    """`rate` requests a second at a gateway."""

    proxy_url: str
    rate: float
    sent: list[Sent] = field(default_factory=list)
    outside: Counter[str] = field(default_factory=Counter)
    """What was wrong with answers that were not in the contract's form, and how often."""
    under_way: int = 0

    def __post_init__(self) -> None:
        parts = urlsplit(self.proxy_url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._judged: dict[tuple[int, bytes, str | None], list[str]] = {}
        self._stopped = False

    async def run(self, seconds: float) -> None:
        """Send for so long, and wait for the last answer."""
        tasks: set[asyncio.Task[None]] = set()
        start = time.monotonic()
        number = 0
        while (due := number / self.rate) < seconds and not self._stopped:
            late = time.monotonic() - start - due
            if late < 0:
                await asyncio.sleep(-late)
            task = asyncio.create_task(self._send(number, start, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        if tasks:
            await asyncio.wait(tasks)
        for _, writer in self._idle:
            writer.close()

    def stop(self) -> None:
        self._stopped = True

    async def _send(self, number: int, start: float, due: float) -> None:
        kind = KINDS[number % len(KINDS)]
        status, order_id = 0, None
        self.under_way += 1
        try:
            async with self._places:
                with contextlib.suppress(OSError, EOFError, asyncio.TimeoutError):
                    answer = await asyncio.wait_for(self._exchange(_request(kind, number)), LONGEST)
                    status, order_id = answer.status, self._judge(kind, answer)
        finally:
            self.under_way -= 1
        self.sent.append(Sent(number, kind, due, time.monotonic() - start - due, status, order_id))

    async def _exchange(self, request: bytes) -> Answer:
        """Over a kept-alive connection, or a new one where there is none. Raises OSError, EOFError."""
        if self._idle:
            reader, writer = self._idle.pop()
            if reader.at_eof() or writer.is_closing():
                writer.close()
                reader, writer = await asyncio.open_connection(*self._address)
        else:
            reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *lines = head.split("\r\n")[:-2]
            headers = {
                name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        except BaseException:
            writer.close()
            raise
        if headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        return Answer(int(line.split()[1]), headers, body, None)

    def _judge(self, kind: str, answer: Answer) -> str | None:
        """Hold an answer against the contract. The order id of an accepted message."""
        if answer.status == 200:
            told = json.loads(answer.body)["data"]
            fits = ("id" in told) if kind == "message" else (kind == "verify" and told == {"status": "ok"})
            if not fits:
                self.outside[f"200 to a request that was: {kind}"] += 1
            return told.get("id") if kind == "message" else None
        # The same refusal comes again and again: it is looked at once.
        seen = (answer.status, answer.body, answer.headers.get("content-type"))
        found = self._judged.get(seen)
        if found is None:
            parsed = Answer(answer.status, answer.headers, answer.body, json.loads(answer.body))
            found = self._judged[seen] = violations(parsed)
        self.outside.update(found)
        return None


def text_of(number: int) -> str:
    return f"soak message {number}"


def _request(kind: str, number: int) -> bytes:
    if kind == "verify":
        return f"GET {VERIFY} HTTP/1.1\r\nHost: kong\r\nAuthorization: Bearer {DEMO_KEY}\r\n\r\n".encode()
    key = DEMO_KEY if kind != "stranger" else f"ystr_stranger_{number:020}"
    to = RECIPIENTS[number % len(RECIPIENTS)] if kind != "invalid" else "0917"
    body = json.dumps({"from": "+63280000001", "to": to, "text": text_of(number)})
    head = f"POST {SENDMESSAGE} HTTP/1.1\r\nHost: kong\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
