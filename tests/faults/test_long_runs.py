"""Load near capacity while everything breaks in turn: what PBXs were told is what FutureSMS has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.soak.run import Options, capacity, run

MINUTES = float(os.environ.get("SOAK_MINUTES", "15"))

# What the incidents cost: a plugin server that is killed is away for a second or two, each of the others for less.
MOST_FAILED_SECONDS = 20


def test_a_short_run_comes_out_even(tmp_path: Path) -> None:
    outcome = run(tmp_path, Options(8), 40, print)
    assert [name for _, name in outcome.incidents].count("plugin server killed") == 2
    assert outcome.balance.accepted > 0
    assert outcome.balance.orders_of_no_answer == 0


@pytest.mark.soak
@pytest.mark.timeout(MINUTES * 60 + 600)
def test_a_quarter_of_an_hour_near_capacity_comes_out_even(tmp_path: Path) -> None:
    # PBXs, FutureSMS and Redis take their share of the same CPUs.
    rate = capacity(tmp_path, Options(0)) / 2
    outcome = run(tmp_path, Options(MINUTES * 60), rate, print)
    summary = outcome.summary()
    print(summary)
    assert summary["failed"] < MOST_FAILED_SECONDS * rate
    assert outcome.balance.orders_of_no_answer == 0
    assert outcome.samples[-1]["open_events"] == 0
