"""What the plugin server loads, and when."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from kong.embedded.child import Child


def test_a_server_that_only_describes_itself_loads_no_client_of_redis() -> None:
    code = "import sys; from yeastar_adapter.__main__ import main; main(['-dump']); sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_server_that_serves_has_loaded_it_before_the_first_request(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="kong-") as prefix:
        command = [sys.executable, "-X", "importtime", "-m", "yeastar_adapter", "-p", prefix]
        server = Child("plugin server", command, log=tmp_path / "log")
        server.wait_for("serves at", 30)
        loaded = {line.rpartition("|")[2].strip() for line in server.output().splitlines() if "|" in line}
        assert {
            "redis",
            "yeastar_adapter.limits.redis",
            "yeastar_adapter.delivery_reports.redis_ledger",
        } <= loaded
        assert server.stop() == 0
