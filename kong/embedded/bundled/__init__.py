"""The bundled plugins that this gateway has, by name."""

from __future__ import annotations

from kong.embedded.bundled.acl import Acl
from kong.embedded.bundled.correlation_id import CorrelationId
from kong.embedded.bundled.file_log import FileLog
from kong.embedded.bundled.functions import PostFunction, PreFunction
from kong.embedded.bundled.ip_restriction import IpRestriction
from kong.embedded.bundled.key_auth import KeyAuth
from kong.embedded.bundled.plugin import BundledPlugin
from kong.embedded.bundled.prometheus import Prometheus
from kong.embedded.bundled.rate_limiting import RateLimiting
from kong.embedded.bundled.request_size_limiting import RequestSizeLimiting
from kong.embedded.bundled.request_termination import RequestTermination

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
