"""The bundled plugins that this gateway has, by name."""

from __future__ import annotations

from kong.embedded.plugins.bundled.acl import Acl
from kong.embedded.plugins.bundled.correlation_id import CorrelationId
from kong.embedded.plugins.bundled.file_log import FileLog
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
        FileLog,
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
