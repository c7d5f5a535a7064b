"""A plugin that accepts requests as an adapter does, or does what the header `X-Do` says.

That is one of: exit-401, crash, read-body, nothing.
"""

from __future__ import annotations

import json
from typing import Any

from tests.fidelity.plugin_process import serve

_SIGNED = {"Content-Type": "application/json", "X-Answered-By": "adapter"}


class Plugin:
    def __init__(self, config: dict[str, Any]) -> None:
        self._label = config.get("label", "none")

    def access(self, kong: Any) -> None:
        wanted = kong.request.get_header("x-do") or "accept"
        kong.response.set_header("X-Label", self._label)
        if wanted == "exit-401":
            kong.response.exit(401, '{"errors":[]}', _SIGNED)
        elif wanted == "crash":
            kong.service.request.set_path("no slash")
        elif wanted == "read-body":
            kong.request.get_raw_body()
        elif wanted == "accept":
            kong.service.request.set_path("/api/v1/sms/sends")

    def response(self, kong: Any) -> None:
        if (kong.request.get_header("x-do") or "accept") == "nothing":
            return
        status = kong.service.response.get_status()
        kong.response.exit(200 if status < 300 else 500, json.dumps({"upstream": status}), _SIGNED)


if __name__ == "__main__":
    serve(Plugin, ({"label": {"type": "string", "default": "none"}},))
