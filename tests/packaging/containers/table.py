"""What the runs have shown, a row each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.harness.load import Load
from tests.harness.pbx import Pbx
from tests.harness.stub import StubClient

RATE = 25.0
"""Messages a second of a run with traffic; one in eight is a stranger's, and must be refused."""

HEAD = ("run", "sent", "answered OK", "lost", "why, and what was seen")


@dataclass
class Row:
    """`sent`, `ok` and `lost` are messages with a good key; None where a run is not about messages."""

    run: str
    seen: str = ""
    sent: int | None = None
    ok: int = 0

    @property
    def lost(self) -> int:
        return (self.sent or 0) - self.ok

    def cells(self) -> tuple[str, ...]:
        numbers = ("", "", "") if self.sent is None else (str(self.sent), str(self.ok), str(self.lost))
        return (self.run, *numbers, self.seen)


class Failed(AssertionError):
    """Some of a run's rows are not as promised."""

    def __init__(self, message: str, rows: list[Row]) -> None:
        super().__init__(message)
        self.rows = rows


@contextmanager
def traffic(row: Row, pbx: Pbx, stub: StubClient, *, counted: bool = True) -> Iterator[Load]:
    """PBXs that send at RATE meanwhile; fills `row`.

    Afterwards: no message became two orders, no stranger's became one, and every order id that was given is that of
    the message. `counted=False` where the stub forgets its orders, or has those of others.
    """
    if counted:
        stub.reset()
    load = Load(pbx, stub, rate=RATE)
    with load.running():
        load.wait_for(40)
        yield load
        load.wait_for(40)
    if counted:
        load.verdict()
    row.sent = sum(load.statuses.values())
    row.ok = load.statuses[200]
    lost = [
        f"{count} × {'no connection' if status is None else f'{status}'}"
        for status, count in sorted(load.statuses.items(), key=str)
        if status != 200
    ]
    row.seen = "; ".join([row.seen, *lost]).removeprefix("; ")


def markdown(rows: Iterable[Row]) -> str:
    """The table, with columns of one width."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(HEAD) - 1)]
    written = [
        "| "
        + " | ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]])
        + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|---|"
    return "\n".join([written[0], rule, *written[1:]])
