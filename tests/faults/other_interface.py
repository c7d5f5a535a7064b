"""The adapter as a release of another interface with reader and guard would be: `other_interface.py NUMBER …`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from kong_plugin_server.patching import patch_standard_library
    from kong_plugin_server.stderr import reserve_standard_descriptors

    reserve_standard_descriptors()
    patch_standard_library()

    from yeastar_adapter import request

    # Before anything else has taken the number from there.
    request.INTERFACE = int(sys.argv.pop(1))

    from yeastar_adapter.__main__ import main

    sys.exit(main())
