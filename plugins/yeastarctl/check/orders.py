"""What an order needs: a sender, a template and a Merchant account for every consumer."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from yeastar_adapter.yeastar.numbers import sender_problem

from .document import Node
from .finding import Finding, error, warning
from .vault import Environment

_SENDER = re.compile(r"SID-\S+|AUTO")
_ORDER_FIELDS = ("phone_number", "template_id", "sender_id", "client_order_id", "dlr_address")


def check(config: Node, environment: Environment, consumer: str | None = None) -> Iterator[Finding]:
    """Look at `order`, `merchant` and what the consumers override of them.

    `consumer`: whom Kong has scoped the instance to; it needs no entry then.
    """
    order = config.get("order")
    if order:
        yield from _order(order, environment)
    merchant = config.get("merchant")
    if merchant:
        yield from _address(merchant)
    for entry in config.each("consumers"):
        yield from _identifiers(entry, environment)
        yield from _senders(entry, environment)
        own = entry.get("merchant")
        if own:
            yield from _address(own)
            yield from _half(own, entry)
        yield from _missing(config, entry)
    if consumer is not None and not config.each("consumers"):
        yield from _missing(config, Node({"username": consumer}, config.file, config.line, config.where))


def _order(order: Node, environment: Environment) -> Iterator[Finding]:
    yield from _identifiers(order, environment)
    field = order.get("text_field")
    if field and field.value in _ORDER_FIELDS:
        yield error(
            "text-field",
            field,
            f"{field.value} is a field of the order itself; the whole configuration is refused",
            "name the template's field: var, unless FutureSMS says otherwise",
        )
    reports = order.get("dlr_address")
    if reports and isinstance(reports.value, str) and urlsplit(reports.value).scheme not in ("http", "https"):
        yield warning(
            "dlr-address", reports, "delivery reports need an http or https address", "mend or remove it"
        )


def _identifiers(record: Node, environment: Environment) -> Iterator[Finding]:
    template, sender = record.get("template_id"), record.get("sender_id")
    value = environment.resolve(template.value) if template and isinstance(template.value, str) else None
    if template and value and not 4 <= len(value) <= 16:
        yield error(
            "template-form",
            template,
            f"a template id has 4 to 16 characters, {value!r} has {len(value)}; FutureSMS will refuse"
            " every order",
            "copy the id from the FutureSMS portal",
        )
    if sender and isinstance(sender.value, str):
        yield from _sender(sender, environment)


def _sender(node: Node, environment: Environment) -> Iterator[Finding]:
    value = environment.resolve(node.value)
    if value and not _SENDER.fullmatch(value):
        yield error(
            "sender-form",
            node,
            f"{value!r} is neither SID-… nor AUTO; FutureSMS will refuse every order",
            "copy the sender id from the FutureSMS portal",
        )


def _senders(entry: Node, environment: Environment) -> Iterator[Finding]:
    senders = entry.get("senders")
    if senders is None:
        return
    if senders.value == {}:
        yield error(
            "senders-empty",
            senders,
            "senders is given and empty: every message is refused with 10005",
            "remove it, or name the PBX's numbers",
        )
    for number, sender in senders.pairs():
        fault = sender_problem(number) if isinstance(number, str) else "is not a string"
        if fault:
            yield error(
                "sender-number",
                sender,
                f"{number} {fault}: no message from it is accepted",
                'write the PBX\'s number in E.164 form and in quotes: "+63280000001"',
            )
        if isinstance(sender.value, str):
            yield from _sender(sender, environment)


def _address(merchant: Node) -> Iterator[Finding]:
    node = merchant.get("base_url")
    if node is None or not isinstance(node.value, str):
        return
    try:
        parts = urlsplit(node.value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        yield error(
            "merchant-address", node, "no http or https address; messages are refused", "https://HOST"
        )
    elif parts.scheme == "http" and "." in host and not host.startswith("127."):
        yield warning("merchant-plain", node, f"the password goes to {host} in clear", "use https")


def _half(merchant: Node, entry: Node) -> Iterator[Finding]:
    given = [name for name in ("username", "password") if merchant.get(name)]
    if len(given) == 1:
        yield warning(
            "merchant-half",
            merchant,
            f"{entry.text('username')} has its own {given[0]}; the other half of the login is taken from the"
            " instance's merchant",
            "give username and password together",
        )


def _missing(config: Node, entry: Node) -> Iterator[Finding]:
    """Settings that neither the consumer nor the instance has."""
    username = entry.text("username") or "?"
    wanted = {
        "template_id": entry.get("template_id") or config.at("order", "template_id"),
        "merchant.username": entry.at("merchant", "username") or config.at("merchant", "username"),
        "merchant.password": entry.at("merchant", "password") or config.at("merchant", "password"),
    }
    if entry.get("senders") is None:
        wanted["sender_id"] = entry.get("sender_id") or config.at("order", "sender_id")
    for name, node in wanted.items():
        if node is None:
            place = name if "." in name else f"order.{name}"
            yield error(
                "not-configured",
                entry,
                f"{username} has no {name}: its messages are refused with 10005",
                f"set {name} here, or {place} for all consumers",
            )
        elif isinstance(node.value, str) and not node.value.strip():
            yield error("blank", node, f"{name} of {username} is blank: its messages are refused with 10005")
