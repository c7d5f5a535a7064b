"""Other Kong plugins that run on the adapter's routes."""

from collections.abc import Iterator

from .declared import Declared, Plugin, Route
from .finding import Finding, error, warning

_AUTHENTICATION = {
    "basic-auth",
    "hmac-auth",
    "jwt",
    "key-auth",
    "key-auth-enc",
    "ldap-auth",
    "ldap-auth-advanced",
    "oauth2",
    "oauth2-introspection",
    "openid-connect",
    "session",
}
_UNITS = {"bytes": 1, "kilobytes": 1000, "megabytes": 1_000_000}
# 2000 characters beyond U+FFFF, each written as two \uXXXX escapes, and the rest of the message.
_LARGEST_MESSAGE = 25_000


def check(declared: Declared, adapter: Plugin, routes: list[Route]) -> Iterator[Finding]:
    """Look at what stands beside an adapter instance on each of its routes."""
    kong = adapter.config.text("authentication") == "kong"
    seen: set[Plugin] = set()
    for route in routes:
        plugins = [plugin for plugin in declared.on(route, adapter.consumer) if plugin not in seen]
        authenticating = [plugin for plugin in declared.on(route) if plugin.name in _AUTHENTICATION]
        if kong and not authenticating:
            yield error(
                "no-authentication",
                adapter.node,
                f"`authentication: kong`, and no Kong auth plugin on route {route.title}: everybody gets"
                " 10004",
                "add key-auth (see examples), or set `authentication: bearer`",
            )
        for plugin in plugins:
            seen.add(plugin)
            if plugin.name in _AUTHENTICATION:
                yield from _authentication(plugin, kong)
            elif plugin.name == "request-size-limiting":
                yield from _size(plugin)


def _authentication(plugin: Plugin, kong: bool) -> Iterator[Finding]:
    if not kong and not plugin.config.get("anonymous"):
        yield error(
            "authentication-twice",
            plugin.node,
            f"{plugin.name} runs before the adapter and refuses every PBX that has none of its credentials",
            "remove it, or set `authentication: kong` in the adapter",
        )
    if kong and plugin.name == "key-auth":
        names = plugin.config.get("key_names")
        if names is None or "authorization" not in [str(name).lower() for name in names.value]:
            yield error(
                "key-names",
                names or plugin.node,
                "key-auth does not look at the header that a PBX sends",
                "set `key_names: [authorization]` and store credentials as `Bearer <key>`",
            )
        if plugin.config.get("hide_credentials") is None:
            yield warning(
                "hide-credentials",
                plugin.node,
                "without hide_credentials the PBX's key stays in the request that later plugins see and log",
                "set `hide_credentials: true`",
            )


def _size(plugin: Plugin) -> Iterator[Finding]:
    node = plugin.config.get("allowed_payload_size")
    size = node.value if node else 128
    unit = plugin.config.text("size_unit") or "megabytes"
    if isinstance(size, int) and size * _UNITS.get(unit, 1) < _LARGEST_MESSAGE:
        yield warning(
            "body-limit",
            node or plugin.node,
            f"{size} {unit} is less than a legal message can have: 2000 characters as \\u escapes are 24 KB",
            f"allow at least {_LARGEST_MESSAGE} bytes",
        )
