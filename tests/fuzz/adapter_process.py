"""The plugin server as Kong starts it, but for its limits: what has been given up is swept away sooner.

`python -m tests.fuzz.adapter_process -p PREFIX`
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from kong_plugin_server.patching import patch_standard_library
    from kong_plugin_server.stderr import reserve_standard_descriptors

    reserve_standard_descriptors()
    patch_standard_library()

from kong_plugin_server import Limits, serve
from yeastar_adapter.handler import SPEC

LIMITS = Limits(handler_timeout=10, step_timeout=15, closed_connection_timeout=5, max_message_bytes=1 << 20)


def main() -> int:
    return serve(SPEC, limits=LIMITS)


if __name__ == "__main__":
    sys.exit(main())
