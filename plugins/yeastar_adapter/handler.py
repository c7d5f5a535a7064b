"""The plugin as Kong sees it: a handler for each phase, which asks the reader, decides, and carries the decision out.

A phase costs one PDK call to read and one to carry out. `kong.yeastar` is of yeastar-reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from kong_plugin_server import PluginSpec

from . import __version__
from .consumers import Consumers
from .decision import Forward, Reply
from .integration import Integration
from .plugin import Adapter
from .request import INTERFACE, REQUEST
from .schema import NAME, PRIORITY, SCHEMA
from .settings import ConfigurationError
from .yeastar.errors import SERVICE_UNAVAILABLE, Refusal

SIGNATURE = "X-Yeastar-Adapter"
"""The header by which reader and guard know the adapter's own answers: it carries the nonce, and they remove it."""


class Plugin:
    """One instance of the plugin: Kong starts one for each configuration in each nginx worker."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        integration = Integration(config)
        self._adapter = Adapter(integration)
        self._consumers = Consumers(integration.settings.consumer_cache_seconds)

    def access(self, kong: Any) -> None:
        """From the PBX's request to the order that Kong will proxy, or to an answer."""
        left = kong.ctx.shared.get(REQUEST)
        decision = self._adapter.access(left, partial(self._consumers.find, kong))
        if isinstance(decision, Forward):
            kong.yeastar.forward(*_for_the_guard(decision, left["nonce"]))
            return
        if decision.identity is not None:
            kong.client.authenticate(decision.identity.consumer, {"id": decision.identity.credential_id})
        _exit(kong, decision, left)

    def response(self, kong: Any) -> None:
        """From FutureSMS's answer to the PBX's. Kong skips this phase when nothing has answered."""
        left = kong.yeastar.upstream_answer()
        _exit(kong, self._adapter.response(left), left)


def _for_the_guard(forward: Forward, nonce: str) -> tuple[Any, ...]:
    """The arguments of `kong.yeastar.forward`; for a consumer that Kong knows already, the last two are left out."""
    order = forward.order
    decision = (
        INTERFACE,
        nonce,
        forward.path,
        forward.token,
        order.body,
        forward.consumer,
        order.client_order_id,
        dict(forward.headers),
    )
    return decision if forward.identity is None else (*decision, *forward.identity)


def _exit(kong: Any, reply: Reply, left: Any) -> None:
    headers = {"Content-Type": "application/json", **reply.headers}
    nonce = left.get("nonce") if isinstance(left, dict) else None
    if nonce:
        headers[SIGNATURE] = nonce
    kong.response.exit(reply.status, reply.body, headers)


SPEC = PluginSpec(
    Plugin,
    NAME,
    __version__,
    PRIORITY,
    SCHEMA,
    error_response=(
        SERVICE_UNAVAILABLE.status,
        Refusal(SERVICE_UNAVAILABLE).body,
        {"Content-Type": "application/json"},
    ),
    configuration_error=ConfigurationError,
    last_calls=frozenset({"kong.yeastar.forward"}),
)
"""What the plugin server serves."""
