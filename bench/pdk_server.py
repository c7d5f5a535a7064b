"""The same plugin under kong-pdk's own server, for comparison.

`python -m bench.pdk_server -p PREFIX --no-lua-style [-g]`
"""

from __future__ import annotations

import sys

if "-g" in sys.argv:
    from gevent import monkey

    monkey.patch_all()


def main() -> None:
    """Serve, with the plugin's own last calls beside those that kong-pdk knows."""
    from kong_pdk.cli import start_dedicated_server
    from kong_pdk.pdk import non_return_methods
    from yeastar_adapter.handler import SPEC

    non_return_methods.update(SPEC.last_calls)
    start_dedicated_server(SPEC.name, SPEC.plugin, SPEC.version, SPEC.priority, SPEC.schema)


if __name__ == "__main__":
    main()
