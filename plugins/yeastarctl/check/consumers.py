"""Consumers in the adapter's configuration and consumers in Kong."""

from __future__ import annotations

from collections.abc import Iterator

from .declared import Declared, Plugin
from .finding import Finding, error, warning
from .sources import similar


def check(declared: Declared, adapter: Plugin, complete: bool) -> Iterator[Finding]:
    """Look for consumers that one side knows and the other does not.

    `complete`: every consumer of the gateway is in these files.
    """
    entries = adapter.config.each("consumers")
    kong = adapter.config.text("authentication") == "kong"
    if not entries and not kong:
        yield error(
            "no-consumers",
            adapter.config.get("consumers") or adapter.node,
            "no consumer is configured: every PBX gets 401/10004",
            "add an entry under config.consumers for each PBX",
        )
    elif entries and all(entry.is_false("enabled") for entry in entries) and not kong:
        yield warning(
            "all-off",
            entries[0].get("enabled") or entries[0],
            "every PBX is disabled: each gets 403/10005",
            "set `enabled: true` for those that may send",
        )
    usernames = {consumer.username: consumer for consumer in declared.consumers if consumer.username}
    custom_ids = {consumer.node.text("custom_id") for consumer in declared.consumers} - {None}
    for entry in entries:
        username = entry.text("username")
        if not username or username in usernames:
            continue
        at = entry.get("username") or entry
        if username in custom_ids:
            yield error(
                "consumer-unknown",
                at,
                f"{username} is the custom_id of a consumer, not its username: the adapter finds it by username, so its"
                " messages are refused with 403/10005",
                f"give the consumer `username: {username}`",
            )
            continue
        meant = similar(username, sorted(usernames))
        report = error if complete else warning
        yield report(
            "consumer-unknown",
            at,
            f"{username} is not among the consumers of Kong: its messages are refused with 403/10005",
            (f"did you mean {meant}? Else " if meant else "")
            + f"add `- username: {username}` under `consumers:` at the top level; if another file or"
            f" the Admin API declares"
            " it, give that file too",
        )
    if adapter.consumer is not None and adapter.consumer.username is None:
        yield error(
            "consumer-unknown",
            adapter.consumer.node,
            f"consumer {adapter.consumer.title} has no username, by which the adapter knows a PBX",
            "add `username:`",
        )
