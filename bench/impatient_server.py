"""The plugin server with other `Limits` than its own, from the JSON object in SOAK_LIMITS: for a short soak."""

from __future__ import annotations

import functools
import json
import os
import sys

from gevent import monkey

monkey.patch_all()

from kong_plugin_server import process  # noqa: E402
from yeastar_adapter.__main__ import main  # noqa: E402

if __name__ == "__main__":
    process.Limits = functools.partial(process.Limits, **json.loads(os.environ["SOAK_LIMITS"]))  # type: ignore
    sys.exit(main())
