"""Kong's plugin development kit: every function under its Kong name, with Kong's checks and errors.

Stands for kong/pdk; `ngx` and `variables` are the part of lua-nginx-module that Lua code of a plugin may use.
"""

from __future__ import annotations

from kong.embedded.pdk import client, log, node, request, response, service
from kong.embedded.pdk.registry import ABSENT, FUNCTIONS, NGX_FUNCTIONS, Function, absent, invoke

__all__ = ["ABSENT", "FUNCTIONS", "NGX_FUNCTIONS", "Function", "absent", "client", "invoke", "log", "node"]
__all__ += ["request", "response", "service"]
