"""Other Kong plugins that requests of a PBX meet."""

from __future__ import annotations

from collections.abc import Iterator

from .declared import Declared, Plugin, Route
from .finding import Edit, Finding, error, hint, warning
from .known import ADAPTER
from .pieces import adapters, served_routes
from .routing import AUTHENTICATION

# They answer in the service's place, after the adapter has accepted a message.
_ANSWERING = {
    "request-termination": "answers every request itself",
    "redirect": "sends every request elsewhere",
    "aws-lambda": "calls a function in the service's place",
    "azure-functions": "calls a function in the service's place",
}
_UNITS = {"bytes": 1, "kilobytes": 1000, "megabytes": 1_000_000}
# 2000 characters beyond U+FFFF, each written as two \uXXXX escapes, and the rest of the message.
_LARGEST_MESSAGE = 25_000
_WINDOWS = ("second", "minute", "hour", "day")


def check(declared: Declared) -> Iterator[Finding]:
    """Look at what runs beside the adapter on each of its routes."""
    for route in served_routes(declared):
        instances = [plugin for _, plugin in adapters(declared, route)]
        kong = any(plugin.config.text("authentication") == "kong" for plugin in instances)
        bearer = [plugin for plugin in instances if plugin.config.text("authentication") != "kong"]
        running = list(declared.running(route))
        authenticating = [plugin for plugin in running if plugin.name in AUTHENTICATION]
        if kong and not authenticating and not bearer:
            off = next(
                (
                    p
                    for p in declared.plugins
                    if p.name in AUTHENTICATION and not p.enabled and declared.covers(p, route)
                ),
                None,
            )
            yield error(
                "no-authentication",
                (off.node.get("enabled") or off.node) if off else instances[0].node,
                f"`authentication: kong`, and no authentication plugin of Kong's runs on route {route.title}"
                + (f" ({off.name} is disabled)" if off else "")
                + ": every PBX gets 401/10004",
                "add key-auth (see examples/key-auth), or set `authentication: bearer`",
            )
        for plugin in running:
            if plugin.name in AUTHENTICATION:
                yield from _authentication(declared, route, plugin, kong)
            elif plugin.name == "request-size-limiting":
                yield from _size(plugin)
            elif plugin.name == "rate-limiting":
                yield from _rate_limiting(plugin, instances)
            elif plugin.name in _ANSWERING and not plugin.config.get("trigger"):
                yield error(
                    "other-answers",
                    plugin.node,
                    f"{plugin.name} on route {route.title} {_ANSWERING[plugin.name]}: no message reaches FutureSMS",
                    "remove it from the PBX's route",
                )
        if kong and any(plugin.name == "key-auth" for plugin in authenticating):
            yield from _credentials(declared, authenticating)


def _authentication(declared: Declared, route: Route, plugin: Plugin, kong: bool) -> Iterator[Finding]:
    anonymous = plugin.config.text("anonymous")
    if not kong:
        if not anonymous:
            yield error(
                "authentication-twice",
                plugin.node,
                f"{plugin.name} runs before the adapter and refuses every PBX that has none of its credentials",
                "remove it from the PBX's route, or set `authentication: kong` in the adapter",
            )
        return
    if anonymous:
        yield from _anonymous(declared, route, plugin, anonymous)
    if plugin.name != "key-auth":
        return
    names = plugin.config.get("key_names")
    if names is None or "authorization" not in [name.lower() for name in plugin.config.texts("key_names")]:
        yield error(
            "key-names",
            names or plugin.node,
            "key-auth does not look at the header that a PBX sends: every PBX gets 401",
            "set `key_names: [authorization]` and store credentials as `Bearer <key>`",
        )
    if plugin.config.is_false("key_in_header"):
        yield error(
            "key-names",
            plugin.config.get("key_in_header") or plugin.node,
            "key-auth does not look at headers, where a PBX sends its key: every PBX gets 401",
            "remove `key_in_header: false`",
            Edit("key_in_header: false", "key_in_header: true"),
        )
    if not plugin.config.is_true("hide_credentials"):
        yield warning(
            "hide-credentials",
            plugin.config.get("hide_credentials") or plugin.node,
            "without hide_credentials the PBX's key stays in the request that later plugins see and log",
            "set `hide_credentials: true`",
        )


def _anonymous(declared: Declared, route: Route, plugin: Plugin, anonymous: str) -> Iterator[Finding]:
    consumer = next((c for c in declared.consumers if anonymous in (c.username, c.node.text("id"))), None)
    adapter = declared.effective(ADAPTER, route, consumer)
    if adapter is None:
        return
    own = adapter.consumer is not None and adapter.consumer is consumer
    entry = consumer is not None and any(
        entry.text("username") == consumer.username and not entry.is_false("enabled")
        for entry in adapter.config.each("consumers")
    )
    if own or entry:
        yield error(
            "open",
            plugin.config.get("anonymous") or plugin.node,
            f"{plugin.name} lets everybody without a key in as {anonymous}, whom the adapter serves: anybody can send"
            " messages on your account",
            "remove `anonymous`, or name a consumer that the adapter does not serve",
        )


def _credentials(declared: Declared, authenticating: list[Plugin]) -> Iterator[Finding]:
    """A PBX sends `Bearer KEY` in the header that key-auth compares as a whole."""
    if any(plugin.name != "key-auth" for plugin in authenticating):
        return
    for consumer in declared.consumers:
        for credential in consumer.node.each("keyauth_credentials"):
            key = credential.get("key")
            if key is None or not isinstance(key.value, str):
                continue
            if key.value.startswith("{vault"):
                yield error(
                    "vault-not-here",
                    key,
                    "Kong does not resolve references in credentials: the PBX would have to send this text",
                    "write the key itself, or keep the keys in the adapter (`authentication: bearer`)",
                )
            elif not key.value.startswith("Bearer "):
                yield error(
                    "credential-form",
                    key,
                    f"a PBX sends `Authorization: Bearer <key>`, and key-auth compares the whole"
                    f" header: {consumer.title}"
                    " gets 401",
                    "write `Bearer ` in front of the key",
                )
            elif key.value != key.value.strip():
                yield error(
                    "white-space",
                    key,
                    f"the key of {consumer.title} ends with white space or a line break: no header can match it",
                    "remove it; in a block, write `|-` instead of `|`",
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


def _rate_limiting(plugin: Plugin, instances: list[Plugin]) -> Iterator[Finding]:
    """A team's own limit beside the adapter's: the lower one refuses, and a refused message is lost."""
    for window in _WINDOWS:
        theirs = plugin.config.number(window)
        ours = [limit for a in instances if (limit := a.config.number("rate_limit", window)) is not None]
        if theirs is not None and ours and theirs < min(ours):
            yield warning(
                "rate-limiting-beside",
                plugin.config.get(window) or plugin.node,
                f"rate-limiting refuses above {theirs:g} a {window}, where the adapter allows {min(ours):g}: a PBX that"
                " keeps to the adapter's rate loses messages, and it does not send them again",
                "leave the limit of a PBX's route to the adapter, or set this one higher",
            )
            return
    by = plugin.config.text("limit_by") or "consumer"
    yield hint(
        "rate-limiting-beside",
        plugin.node,
        f"rate-limiting (by {by}) counts the requests of PBXs too, beside the adapter's own limit;"
        f" the lower one refuses",
        "leave the limit of a PBX's route to the adapter",
    )
