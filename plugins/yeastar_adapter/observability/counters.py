"""What is counted of requests: plain numbers, so that counting costs a message next to nothing."""

from __future__ import annotations

from collections import defaultdict

from kong_plugin_server.counters import Histogram

CONSUMERS = 1000
"""So many consumers are counted by name."""

OTHER = "other"
"""All others are counted under this one."""

LIMITER_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
TOKEN_BOUNDS = (0.0001, 0.001, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TURN_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""In seconds. A token at hand takes microseconds, a log-in as long as FutureSMS."""


class RequestCounters:
    """Running totals of the requests of this process; read at any time, and never reset.

    Consumers are named only once they are authenticated: a stranger's requests are counted under "", and
    cannot make names.
    """

    __slots__ = (
        "_labels",
        "accepted",
        "accepted_last",
        "answers",
        "destinations",
        "forwarded",
        "limiter_wait",
        "refused",
        "token_wait",
        "tokens_rejected",
        "turn_wait",
        "verified",
    )

    def __init__(self) -> None:
        self._labels: dict[str, str] = {"": ""}
        self.forwarded: dict[str, int] = defaultdict(int)
        """Orders handed to Kong, by consumer."""
        self.accepted = 0
        """Orders that FutureSMS has taken. The consumer is not known here without asking Kong once more."""
        self.accepted_last = 0.0
        """When it took the last one, in seconds of Unix time."""
        self.verified: dict[str, int] = defaultdict(int)
        """Keys found good, by consumer."""
        self.refused: dict[tuple[str, str, str, str], int] = defaultdict(int)
        """Errors that a PBX was answered, by consumer, endpoint, Yeastar code, and who can correct it."""
        self.answers: dict[tuple[str, str], int] = defaultdict(int)
        """What FutureSMS answered to orders, by HTTP status, and Yeastar code ("": accepted)."""
        self.destinations: dict[tuple[str, str], int] = defaultdict(int)
        """Messages by the recipient's region, and whether they were `forwarded`, or `refused` for that region."""
        self.tokens_rejected = 0
        """Orders that FutureSMS answered 401 at first."""
        self.limiter_wait = Histogram(LIMITER_BOUNDS)
        self.turn_wait = Histogram(TURN_BOUNDS)
        """What requests that came before their turn waited for it."""
        self.token_wait = Histogram(TOKEN_BOUNDS)

    def label(self, consumer: str) -> str:
        """The name that a consumer is counted under."""
        label = self._labels.get(consumer)
        if label is None:
            if len(self._labels) > CONSUMERS:
                return OTHER
            label = self._labels[consumer] = consumer
        return label
