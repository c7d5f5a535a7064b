"""`python -m bench`: compare, take apart, and with `--write` put it into docs/benchmarks.md (`make bench`).

`--quick` goes through all of it in less than a minute, to see that it works: its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from . import report
from .compare import compare, kinds_of_request, profile
from .quiet import Patience

RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind; the median counts")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    parser.add_argument(
        "--patience",
        type=float,
        default=120,
        help="seconds that may be spent waiting for the machine to be quiet, and on measurements that were disturbed",
    )
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and its plot")
    parser.add_argument("--quick", action="store_true", help="one short round on a machine however busy")
    options = parser.parse_args()
    if options.quick and options.write:
        parser.error("--quick measures nothing that is worth writing down")
    if options.quick:
        options.rounds, options.seconds, options.patience = 1, 0.2, 0
    if options.write and find_spec("matplotlib") is None:
        parser.error("the plot needs matplotlib: pip install -e '.[bench]', as `make bench` does")
    patience = Patience(options.patience)
    print("kong-pdk's servers and ours, in turns", flush=True)
    servers = compare(options.rounds, options.seconds, patience, _say)
    print("kinds of request under ours", flush=True)
    kinds = kinds_of_request(options.rounds, options.seconds, patience, _say)
    parts = profile(options.rounds * options.seconds, patience)
    outcome = report.Outcome(report.machine(), servers, kinds, parts)
    print()
    print(report.tables(outcome))
    if options.write:
        RESULTS.write_text(json.dumps(asdict(outcome), indent=1) + "\n")
        report.write(outcome)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
