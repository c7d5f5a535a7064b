"""Consumers in the adapter's configuration and consumers in Kong."""

from collections.abc import Iterator

from .declared import Declared, Plugin
from .finding import Finding, error, warning


def check(declared: Declared, adapter: Plugin) -> Iterator[Finding]:
    """Look for consumers that one side knows and the other does not."""
    entries = adapter.config.each("consumers")
    if not entries and adapter.config.text("authentication") != "kong":
        yield warning(
            "no-consumers",
            adapter.node,
            "no consumer is configured: every PBX gets 10004",
            "add an entry under config.consumers for each PBX",
        )
    for entry in entries:
        username = entry.text("username")
        if username and username not in declared.consumers:
            yield error(
                "consumer-unknown",
                entry.get("username") or entry,
                f"{username} is not among the consumers of Kong: its messages are refused with 10005",
                f"add `- username: {username}` under `consumers:` at the top level; if another file or"
                " the Admin"
                " API declares it, give that file too",
            )
