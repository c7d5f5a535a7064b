"""The plugin server that Kong starts as `yeastar-adapter`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kong_plugin_server.server import Server


def main(argv: list[str] | None = None) -> int:
    """Serve the plugin, or describe it (`-dump`). Returns the exit status."""
    # Kong's worker may be gone before the rest is loaded.
    parent = os.getppid()
    from kong_plugin_server.stderr import reserve_standard_descriptors

    reserve_standard_descriptors()
    # Before anything that makes sockets, locks or threads is imported: a handler that waits must hold up
    # nobody.
    from kong_plugin_server.patching import patch_standard_library

    patch_standard_library()

    from kong_plugin_server import serve

    from .handler import SPEC
    from .observability import exporter

    def observe(server: Server) -> None:
        # Here, so that no request waits for it: instances that count in Redis load these.
        from .delivery_reports import redis_ledger  # noqa: F401
        from .limits import redis  # noqa: F401

        exporter.observe(server)

    return serve(SPEC, argv, observe=observe, parent=parent)


if __name__ == "__main__":
    sys.exit(main())
