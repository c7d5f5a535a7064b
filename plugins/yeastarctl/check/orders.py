"""What an order needs: a sender, a template and a Merchant account for every consumer."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from yeastar_adapter.delivery_reports.settings import SECRET_AT_LEAST
from yeastar_adapter.yeastar.countries import read_regions
from yeastar_adapter.yeastar.numbers import sender_problem

from .environment import Environment
from .finding import Edit, Finding, error, hint, warning
from .node import Node
from .routing import is_public

_SENDER = re.compile(r"SID-\S+|AUTO")
_ORDER_FIELDS = ("phone_number", "template_id", "sender_id", "client_order_id", "dlr_address")
_DIFFERENT = 8  # as in delivery_reports/settings.py
_PLAIN_SMS = 160
_LOG_IN = "/api/v1/auth/login"
_PATH_OF_A_CALL = re.compile(r"/api(/v1(/.*)?)?$")


def check(config: Node, environment: Environment, consumer: Node | None = None) -> Iterator[Finding]:
    """Look at `order`, `merchant`, `recipients`, `delivery_reports`, and what the consumers override of them.

    `consumer`: whom Kong has scoped the instance to; it needs no entry then.
    """
    order, merchant, entries = config.get("order"), config.get("merchant"), config.each("consumers")
    if order:
        yield from _order(order, environment)
    if merchant:
        yield from _address(merchant, order)
    yield from _recipients(config, config, entries)
    yield from _reports(config, environment)
    for entry in entries:
        yield from _identifiers(entry, environment)
        yield from _senders(entry, environment)
        yield from _recipients(entry, config, entries)
        yield from _text_rules(entry)
        own = entry.get("merchant")
        if own:
            yield from _address(own, order)
            yield from _half(own, entry)
        yield from _missing(config, entry)
    if consumer is not None and not entries:
        yield from _missing(config, consumer)


def _order(order: Node, environment: Environment) -> Iterator[Finding]:
    yield from _identifiers(order, environment)
    yield from _text_rules(order)
    field = order.get("text_field")
    if field and field.value in _ORDER_FIELDS:
        yield error(
            "text-field",
            field,
            f"{field.value} is a field of the order itself; the whole configuration is refused",
            "name the template's field: var, unless FutureSMS says otherwise",
        )
    path = order.get("path")
    if path and isinstance(path.value, str) and re.search(r"[\s?#]|://|^//", path.value):
        yield error(
            "order-path", path, f"{path.value!r} is not a path", "write the path alone: /api/v1/sms/sends"
        )
    reports = order.get("dlr_address")
    if reports and isinstance(reports.value, str):
        yield from _public_address(reports, reports.value, "dlr-address", "dlr_address")


def _public_address(node: Node, address: str, rule: str, name: str) -> Iterator[Finding]:
    """FutureSMS calls only addresses with a public HTTPS name."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host:
        yield warning(
            rule,
            node,
            f"{name} {address!r} is not an address: FutureSMS refuses it",
            "write https://HOST/PATH",
        )
        return
    if not is_public(host):
        yield warning(
            rule,
            node,
            f"{name} leads to {host}, which FutureSMS cannot reach: it calls public addresses only",
            "write an https address with a public name",
        )
        return
    if parts.scheme == "http":
        yield warning(
            rule,
            node,
            f"{name} is plain http: FutureSMS calls https addresses only, and a report would cross"
            f" the network unencrypted",
            f"write https://{address.removeprefix('http://')}",
            Edit("http://", "https://"),
        )
    if _is_address(host):
        yield warning(
            rule, node, f"{name} is an IP address: FutureSMS wants a name with a certificate", "write a name"
        )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _identifiers(record: Node, environment: Environment) -> Iterator[Finding]:
    template, sender = record.get("template_id"), record.get("sender_id")
    value = environment.text(template)
    if (
        template
        and value
        and value.strip()
        and value == value.strip()
        and not _odd(value)
        and not 4 <= len(value) <= 16
    ):
        yield error(
            "template-form",
            template,
            f"a template id has 4 to 16 characters, {value!r} has {len(value)}; FutureSMS will refuse every order",
            "copy the id from the FutureSMS portal",
        )
    if sender:
        yield from _sender(sender, environment)


def _odd(value: str) -> bool:
    """A reference with a mistake, or a variable: said already."""
    return "{" in value or "$" in value or "vault" in value.lower()


def _sender(node: Node, environment: Environment) -> Iterator[Finding]:
    value = environment.text(node)
    if not value or not value.strip() or _odd(value) or _SENDER.fullmatch(value):
        return
    corrected = value.strip().upper().replace("_", "-").replace(" ", "")
    corrected = re.sub(r"^SID(?=[^-])", "SID-", corrected)
    likely = corrected if _SENDER.fullmatch(corrected) else None
    yield error(
        "sender-form",
        node,
        f"{value!r} is neither SID-… nor AUTO; FutureSMS will refuse every order",
        f"did you mean {likely}?" if likely else "copy the sender id from the FutureSMS portal",
        Edit(value, likely) if likely and value == node.value else None,
    )


def _senders(entry: Node, environment: Environment) -> Iterator[Finding]:
    senders = entry.get("senders")
    if senders is None:
        return
    if not senders.value:
        yield error(
            "senders-empty",
            senders,
            "senders is given and empty: every message is refused with 403/10005",
            "remove it, or name the PBX's numbers",
        )
    for number, sender in senders.pairs():
        fault = sender_problem(number) if isinstance(number, str) else None  # else Kong refuses it
        if fault:
            yield error(
                "sender-number",
                sender,
                f"{number} {fault}: no message from it is accepted",
                'write the PBX\'s number in E.164 form and in quotes: "+63280000001"',
            )
        yield from _sender(sender, environment)


def _text_rules(record: Node) -> Iterator[Finding]:
    limit, parts = record.number("text_limit"), record.number("sms_parts")
    if limit is not None and parts == 1 and limit > _PLAIN_SMS:
        yield hint(
            "text-rules",
            record.get("text_limit") or record,
            f"text_limit {limit:g} is never reached: one SMS takes {_PLAIN_SMS} characters at most",
            "leave out one of the two",
        )


def _recipients(record: Node, config: Node, entries: list[Node]) -> Iterator[Finding]:
    countries = record.at("recipients", "countries")
    if countries is None:
        serves = bool(entries) or config.at("merchant") is not None
        own = bool(entries) and all(entry.at("recipients", "countries") for entry in entries)
        if record is config and serves and not own:
            yield hint(
                "countries",
                config.get("recipients") or config,
                "recipients.countries is not set: a stolen key can send to any country, the expensive ones too",
                "recipients: {countries: [PH]}, with the countries that your PBXs send to",
            )
        return
    for entry in countries.entries():
        if not isinstance(entry.value, str) or len(entry.value) != 2:
            continue  # Kong refuses it
        regions, problems = read_regions([entry.value])
        for problem in problems:
            if regions:
                (region,) = regions
                yield warning("country", entry, problem, f"write {region}", Edit(entry.value, region))
            else:
                yield error("country", entry, problem, "two capital letters (ISO 3166): PH, SG, GB")


def _reports(config: Node, environment: Environment) -> Iterator[Finding]:
    reports = config.get("delivery_reports")
    if reports is None or not reports.is_true("enabled"):
        return
    for name, example in (
        ("public_url", "https://sms.example.com"),
        ("secret", "{vault://env/delivery-report-secret}"),
    ):
        node = reports.get(name)
        value = environment.text(node)
        if node is None or (value is not None and not value.strip()):
            yield warning(
                "reports-incomplete",
                node or reports,
                f"delivery_reports are enabled and have no {name}: FutureSMS has nowhere to send a report",
                f'set `{name}: "{example}"`',
            )
        elif name == "public_url" and value is not None and not _odd(value):
            yield from _public_address(node, value, "reports-address", "public_url")
        elif name == "secret" and value is not None and not _odd(value) and _is_guessable(value.strip()):
            yield warning(
                "reports-secret",
                node,
                f"the secret has {len(value.strip())} characters, {len(set(value.strip()))} different ones: with fewer"
                f" than {SECRET_AT_LEAST} and {_DIFFERENT} it can be guessed, and the adapter asks for no reports",
                "make one: openssl rand -hex 32",
            )
    if (address := config.at("order", "dlr_address")) is not None:
        yield warning(
            "reports-twice",
            address,
            "delivery_reports are enabled, so each order carries the gateway's own address instead of this one",
            "remove order.dlr_address, or disable delivery_reports",
        )


def _is_guessable(secret: str) -> bool:
    return len(secret) < SECRET_AT_LEAST or len(set(secret)) < _DIFFERENT


def _address(merchant: Node, order: Node | None) -> Iterator[Finding]:
    node, order_path = merchant.get("base_url"), order.get("path") if order else None
    if node is None or not isinstance(node.value, str) or _odd(node.value):
        return
    url = node.value.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        yield error(
            "merchant-address",
            node,
            "not an http or https address; messages are refused with 403/10005",
            "https://HOST",
        )
        return
    if parts.username is not None or parts.query or parts.fragment:
        yield error(
            "merchant-address",
            node,
            "the address has a user name, a query or a fragment in it; messages are refused with 403/10005",
            "write https://HOST alone",
        )
    elif path := parts.path.rstrip("/"):
        log_ins = f"log-ins go to {path}{_LOG_IN}"
        if call := _PATH_OF_A_CALL.search(path):
            without = url.rstrip("/").removesuffix(call[0])
            yield error("merchant-address", node, log_ins, f"write {without}", Edit(url, without))
        elif not (order_path and str(order_path.value).startswith(f"{path}/")):
            yield hint(
                "merchant-address",
                node,
                f"{log_ins}; an order goes to order.path, without {path} before it",
                f"write order.path with {path} before it, if FutureSMS takes orders there too",
            )
    if parts.scheme == "http" and is_public(host):
        yield warning("merchant-plain", node, f"the password goes to {host} unencrypted", "use https")


def _half(merchant: Node, entry: Node) -> Iterator[Finding]:
    given = [name for name in ("username", "password") if merchant.get(name)]
    if len(given) == 1:
        yield warning(
            "merchant-half",
            merchant,
            f"{entry.text('username')} has its own {given[0]}; the other half of the log-in is taken"
            f" from the instance's"
            " merchant",
            "give username and password together",
        )


def _missing(config: Node, entry: Node) -> Iterator[Finding]:
    """Settings that neither the consumer nor the instance has."""
    username = entry.text("username") or "?"
    report = warning if entry.is_false("enabled") else error
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
            yield report(
                "not-configured",
                entry,
                f"{username} has no {name}: its messages are refused with 403/10005",
                f"set {name} here, or {place} for all consumers",
            )
        elif isinstance(node.value, str) and not node.value.strip():
            yield report(
                "blank",
                node,
                f"{name} of {username} is blank: its messages are refused with 403/10005",
                "write a value",
            )
