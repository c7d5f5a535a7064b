"""The plugin server that Kong starts as `yeastar-adapter`."""

from __future__ import annotations

import os
import sys


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

    return serve(SPEC, argv, observe=exporter.observe, parent=parent)


if __name__ == "__main__":
    sys.exit(main())
