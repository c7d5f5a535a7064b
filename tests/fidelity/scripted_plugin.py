"""A plugin that makes the PDK calls which the request's header `X-Script` names for each phase.

{"access": [["kong.request.get_header", "x-a"], …], "response": […]}; {"$bytes": "…"} is an argument of bytes.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

from kong_pdk.exception import PDKException

from tests.fidelity.plugin_process import serve

_LAST = ("kong.response.exit", "kong.response.error")


def _run(kong: Any, phase: str) -> None:
    script = json.loads(kong.request.get_header("x-script") or "{}")
    for name, *arguments in script.get(phase, []):
        function = kong
        for part in name.split(".")[1:]:
            function = getattr(function, part)
        with contextlib.suppress(PDKException):
            function(*map(_argument, arguments))
        if name in _LAST:
            return


def _argument(value: Any) -> Any:
    return value["$bytes"].encode("latin-1") if isinstance(value, dict) and "$bytes" in value else value


class Plugin:
    def __init__(self, config: dict[str, Any]) -> None:
        pass

    def access(self, kong: Any) -> None:
        _run(kong, "access")

    def response(self, kong: Any) -> None:
        _run(kong, "response")


if __name__ == "__main__":
    serve(Plugin, ({"key": {"type": "string", "default": "k1"}},))
