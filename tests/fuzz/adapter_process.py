"""The plugin server as Kong starts it, but for its limits: what has been given up is swept away sooner.

`python -m tests.fuzz.adapter_process -p PREFIX`
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from kong_plugin_server.stderr import reserve_standard_descriptors

    reserve_standard_descriptors()

    from gevent import monkey

    monkey.patch_all()

from kong_plugin_server import Limits, PluginSpec, serve
from yeastar_adapter import __version__
from yeastar_adapter.handler import Plugin
from yeastar_adapter.schema import NAME, PRIORITY, SCHEMA
from yeastar_adapter.yeastar.errors import SERVICE_UNAVAILABLE, Refusal

LIMITS = Limits(handler_timeout=10, step_timeout=15, closed_connection_timeout=5, max_message_bytes=1 << 20)


def main() -> int:
    error_response = (
        SERVICE_UNAVAILABLE.status,
        Refusal(SERVICE_UNAVAILABLE).body,
        {"Content-Type": "application/json"},
    )
    return serve(PluginSpec(Plugin, NAME, __version__, PRIORITY, SCHEMA, error_response), limits=LIMITS)


if __name__ == "__main__":
    sys.exit(main())
