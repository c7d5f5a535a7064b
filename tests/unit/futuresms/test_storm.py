"""A token revoked under many orders, over TLS: each is made once. How long it takes is measured by `bench.storm`."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.harness.authority import Authority
from tests.harness.stub import ROOT, StubServer

STORM = """
import json, sys
from bench.storm import storm
outcome = storm(sys.argv[1], sys.argv[2], sys.argv[3], 300, timeout=60)
print(json.dumps([outcome.answers, outcome.made, outcome.made_twice]))
"""


def test_every_order_of_a_storm_is_made_once(tls_stub: StubServer, authority: Authority) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STORM, tls_stub.tls_url, tls_stub.url, str(authority.certificate)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    answers, made, made_twice = json.loads(ended.stdout)
    assert answers == {"order": 300}
    assert (made, made_twice) == (300, 0)
    assert tls_stub.count("POST /api/v1/auth/login") == 2
    assert tls_stub.count("POST /api/v1/auth/refresh") == 1
