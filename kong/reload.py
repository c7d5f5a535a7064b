#!/opt/yeastar-adapter/bin/python
"""Put the gateway's configuration file in force, and show that it is: `docker compose exec kong reload`.

The file is checked first: one with errors is refused here, and the gateway goes on with what it has. Kong tells the
MD5 of the file that it serves; the reload has worked when that is the MD5 of this file.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

SECONDS = 60


def in_force() -> tuple[str, bool]:
    """MD5 of the file that Kong serves, and whether every worker has it."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:8007/status", timeout=5) as answer:
            served = json.load(answer).get("configuration_hash", "")
        with urllib.request.urlopen("http://127.0.0.1:8007/status/ready", timeout=5):
            return served, True
    except OSError:
        return "", False


def main() -> int:
    name = os.environ.get("KONG_DECLARATIVE_CONFIG")
    if not name:
        print("KONG_DECLARATIVE_CONFIG names no file: there is nothing to reload", file=sys.stderr)
        return 1
    if subprocess.run(["/usr/local/bin/yeastarctl", "config", "check", name]).returncode:
        print(
            f"not reloaded: {name} has errors; the gateway serves what it has served before", file=sys.stderr
        )
        return 1
    wanted = hashlib.md5(Path(name).read_bytes(), usedforsecurity=False).hexdigest()
    if subprocess.run(["kong", "reload"]).returncode:
        print("not reloaded: see Kong's message above", file=sys.stderr)
        return 1
    deadline = time.monotonic() + SECONDS
    while in_force() != (wanted, True):
        if time.monotonic() > deadline:
            print(f"{name} is not active after {SECONDS} s; see Kong's log", file=sys.stderr)
            return 1
        time.sleep(0.2)
    print(f"{name} is active in every worker (MD5 {wanted})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
