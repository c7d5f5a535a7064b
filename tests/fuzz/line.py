"""The judge of what goes through a gateway: what the client got, what FutureSMS has, what the plugin server holds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from tests.harness.faults import PluginServer
from tests.harness.gateway import EmbeddedGateway, Gateway, wait_until
from tests.harness.pbx import Answer, violations
from tests.harness.stub import StubClient

from . import wire
from .requests import Request

_OWN_STATUSES = frozenset({400, 404, 405, 408, 411, 412, 413, 414, 417, 421, 426, 431, 494, 501, 505})
"""With these nginx or Kong refuses what has not come as far as the route."""


class Line:
    """The way to one gateway, whose plugin server lives from beginning to end."""

    def __init__(self, gateway: Gateway, stub: StubClient) -> None:
        self.gateway, self.stub = gateway, stub
        parts = urlsplit(gateway.proxy_url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._known = 0
        self._late = 0
        self._server: PluginServer | None = None
        if isinstance(gateway, EmbeddedGateway):
            [pid] = gateway.plugin_server_pids()
            self._server = PluginServer(pid, str(gateway.prefix / "yeastar-adapter.socket"))

    def send(self, requests: Sequence[Request], pieces: Sequence[bytes], ending: wire.Ending) -> wire.Outcome:
        """Whole requests, pipelined, and what comes back."""
        self.begin()
        return wire.exchange(self._address, pieces, [request.method for request in requests], ending)

    def send_bytes(self, pieces: Sequence[bytes], ending: wire.Ending) -> wire.Outcome:
        """Anything."""
        self.begin()
        requests = max(1, b"".join(pieces).count(b" HTTP/1"))
        return wire.exchange(self._address, pieces, ["GET"] * requests, ending, whole=False)

    def new_orders(self) -> list[dict[str, object]]:
        """What FutureSMS has taken since then, once nothing is under way."""
        self.settle()
        total = self.stub.status()["orders"]
        new, self._known = total - self._known, total
        return self.stub.orders(last=new) if new else []

    def orders_at_most(self, allowed: int) -> list[dict[str, object]]:
        """The same where nobody has waited for answers: orders may still be on their way, and no more than so many.

        One that nobody saw coming is counted for the case before, if that had any left.
        """
        self._wait_for_quiet()
        found = self.new_orders()
        assert len(found) <= allowed + self._late, f"{len(found)} orders, {allowed} allowed"
        self._late = max(0, allowed - len(found))
        return found

    def begin(self) -> None:
        """Count orders from here on."""
        self._known = self.stub.status()["orders"]
        if self._known > 5000:
            self.stub.clear_orders()
            self.stub.clear_requests()
            self._known = 0

    def settle(self) -> None:
        """Until no event is open; the plugin server is the one of the beginning."""
        if self._server is None:
            return
        status = self._server.status()
        assert status["Pid"] == self._server.pid, "the plugin server has died"
        if status["OpenEvents"]:
            wait_until(lambda: not self._server or not self._server.open_events(), 15, "no open event")

    def _wait_for_quiet(self) -> None:
        """Until FutureSMS has had no new request for a moment."""
        before, same = -1, 0
        while same < 3:
            now = self.stub.status()["requests"]
            same = same + 1 if now == before else 0
            before = now
            time.sleep(0.015)


def in_form(answer: Answer, method: str, *, own: bool) -> None:
    """The answer is in the contract's form, or (`own`) a refusal of Kong's that is made before it knows the route."""
    if method == "HEAD":
        assert answer.status in (400, 401, 403, 429, 500, *(_OWN_STATUSES if own else ())), answer
        return
    found = violations(answer)
    if found and own:
        assert answer.status in _OWN_STATUSES, (answer, found)
        return
    assert not found, (found, answer)
