"""The bundled plugins that this gateway has, by name; those that it has not are refused by name."""

from __future__ import annotations

from kong_declarative import typedefs
from kong_declarative.plugin_catalogue import PluginDefinition

from kong.embedded.plugins.bundled.acl import Acl
from kong.embedded.plugins.bundled.correlation_id import CorrelationId
from kong.embedded.plugins.bundled.functions import PostFunction, PreFunction
from kong.embedded.plugins.bundled.ip_restriction import IpRestriction
from kong.embedded.plugins.bundled.key_auth import KeyAuth
from kong.embedded.plugins.bundled.plugin import BundledPlugin
from kong.embedded.plugins.bundled.prometheus import Prometheus
from kong.embedded.plugins.bundled.rate_limiting import RateLimiting
from kong.embedded.plugins.bundled.request_size_limiting import RequestSizeLimiting
from kong.embedded.plugins.bundled.request_termination import RequestTermination

BUNDLED: dict[str, type[BundledPlugin]] = {
    plugin.name: plugin
    for plugin in (
        Acl,
        CorrelationId,
        IpRestriction,
        KeyAuth,
        PostFunction,
        PreFunction,
        Prometheus,
        RateLimiting,
        RequestSizeLimiting,
        RequestTermination,
    )
}

# `yeastarctl config check` knows their configuration, and this gateway takes none.
NOT_SUPPORTED = {
    name: PluginDefinition(
        name,
        0,
        "",
        {"name": name, "fields": [{"config": {"type": "any", "custom_validator": typedefs.not_supported}}]},
    )
    for name in ("file-log",)
}
