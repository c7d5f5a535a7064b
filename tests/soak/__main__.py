"""`python -m tests.soak [--minutes 15] [--rate N]`: run, judge, and with `--write` renew the picture in docs/images.

With `--proxy-url` and `--admin-url` the gateway is one that runs already; stub and Redis are started here all the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from . import picture
from .run import Options, capacity, run

RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument(
        "--rate", type=float, help="requests a second; not given: half of what is measured first"
    )
    parser.add_argument("--proxy-url", help="a gateway that runs already; with --admin-url")
    parser.add_argument("--admin-url")
    parser.add_argument("--prefix", type=Path, help="its prefix, where the plugin server's socket is")
    parser.add_argument("--kill-command", help="kills its plugin server")
    parser.add_argument("--reload-command", help="is its `kong reload`")
    parser.add_argument("--kong-yml", type=Path, help="the file that it then reads")
    parser.add_argument("--write", action="store_true", help="renew results.json and docs/images/soak.png")
    given = parser.parse_args()
    options = Options(
        given.minutes * 60,
        given.proxy_url,
        given.admin_url,
        given.prefix,
        given.kill_command,
        given.reload_command,
        given.kong_yml,
    )
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        rate = given.rate
        if rate is None:
            measured = capacity(Path(directory), options)
            rate = float(int(measured * 0.5))
            print(f"{measured:.0f} requests a second are the most; going on with {rate:.0f}", flush=True)
        outcome = run(Path(directory), options, rate, lambda line: print(line, flush=True))
    print(json.dumps(outcome.summary(), indent=1))
    if given.write:
        RESULTS.write_text(json.dumps(outcome.as_json(), indent=1) + "\n")
        picture.write(outcome.as_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
