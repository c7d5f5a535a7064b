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
    from gevent import monkey

    monkey.patch_all()

    from kong_plugin_server import PluginSpec, serve

    from . import __version__
    from .handler import Plugin
    from .observability import exporter
    from .schema import NAME, PRIORITY, SCHEMA
    from .settings import ConfigurationError
    from .yeastar.errors import SERVICE_UNAVAILABLE, Refusal

    error_response = (
        SERVICE_UNAVAILABLE.status,
        Refusal(SERVICE_UNAVAILABLE).body,
        {"Content-Type": "application/json"},
    )
    spec = PluginSpec(Plugin, NAME, __version__, PRIORITY, SCHEMA, error_response, ConfigurationError)
    return serve(spec, argv, observe=exporter.observe, parent=parent)


if __name__ == "__main__":
    sys.exit(main())
