"""The reference parts of docs/: from the schema, the error catalogue and the commands themselves."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import click
from yeastar_adapter.futuresms.answer import Answer
from yeastar_adapter.schema import SCHEMA
from yeastar_adapter.translation import BY_ERROR_CODE, TABLE
from yeastar_adapter.yeastar.errors import CATALOGUE, Error, Refusal
from yeastar_adapter.yeastar.message import Message
from yeastarctl import main as yeastarctl
from yeastarctl.catalogue import EXPLANATIONS, NOT_YEASTAR, Explanation
from yeastarctl.check.rules import RULES

Attributes = Mapping[str, Any]


def configuration() -> str:
    """Every setting of the plugin: a table for each record of the schema."""
    return "\n".join(_record("config", {"type": "record", "fields": SCHEMA}, "config", "")).rstrip() + "\n"


def rules() -> str:
    """Every rule of `config check`: what, why, and the lines to write."""
    lines: list[str] = []
    group = ""
    for rule in RULES.values():
        if rule.group != group:
            group = rule.group
            lines.append(f"## {group}\n")
        lines += [
            f"### {rule.id}\n",
            f"**{rule.severity}.** {rule.what}",
            f"{rule.why}\n",
            f"```yaml\n{rule.correct}\n```\n",
        ]
    return "\n".join(lines).rstrip() + "\n"


def _record(title: str, record: Attributes, path: str, prefix: str) -> Iterator[str]:
    yield f"### `{title}`\n"
    yield "| setting | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    below: list[tuple[str, Attributes, str]] = []
    for field in record["fields"]:
        for name, attributes in field.items():
            inner, inner_path, inner_title = _inner(attributes), f"{path}.{name}", f"{prefix}{name}"
            if attributes["type"] == "array" and inner is not None:
                inner_title += "[]"
            if inner is not None:
                below.append((inner_title, inner, inner_path))
            cells = (
                f"`{name}`",
                _type(attributes, inner_title),
                _default(attributes),
                _meaning(attributes, inner_path),
            )
            yield f"| {' | '.join(cells)} |"
    yield ""
    for inner_title, inner, inner_path in below:
        yield from _record(inner_title, inner, inner_path, f"{inner_title}.")


def _inner(attributes: Attributes) -> Attributes | None:
    """The record that a field is, or is a list of."""
    if attributes["type"] == "record":
        return attributes
    elements = attributes.get("elements", {})
    return elements if elements.get("type") == "record" else None


def anchor(heading: str) -> str:
    """Where a heading is found, on GitHub and in the built site alike."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _type(attributes: Attributes, title: str) -> str:
    kind = str(attributes["type"])
    if _inner(attributes) is not None:
        return f"[{'records' if kind == 'array' else 'record'}](#{anchor(title)})"
    if kind == "array":
        return f"list of {attributes['elements']['type']}s"
    if kind == "map":
        return f"{attributes['keys']['type']} → {attributes['values']['type']}"
    return kind


def _default(attributes: Attributes) -> str:
    if "default" not in attributes:
        return "**required**" if attributes.get("required") else "–"
    value = attributes["default"]
    if value in ([], {}):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meaning(attributes: Attributes, path: str) -> str:
    said = [attributes.get("description") or BESIDE.get(path, "")]
    elements = attributes.get("elements", {})
    if elements.get("description"):
        said.append("Each: " + elements["description"])
    said += _constraints(attributes)
    if any(a.get("referenceable") for a in (attributes, elements, attributes.get("values", {}))):
        said.append("May be a vault reference.")
    return " ".join(part for part in said if part).replace("|", "\\|")


def _constraints(attributes: Attributes) -> Iterator[str]:
    if "one_of" in attributes:
        yield "One of " + ", ".join(f"`{choice}`" for choice in attributes["one_of"]) + "."
    if "between" in attributes:
        yield f"From {attributes['between'][0]} to {attributes['between'][1]}."
    if "gt" in attributes:
        yield f"Greater than {attributes['gt']}."
    if "len_max" in attributes:
        yield f"At most {attributes['len_max']} bytes."
    if "starts_with" in attributes:
        yield f"Starts with `{attributes['starts_with']}`."


BESIDE = {
    "config.order": "The order that a message becomes.",
    "config.merchant": "The FutureSMS Merchant account that sends, for every consumer without one of its own.",
    "config.rate_limit": "Limits of each consumer that has none of its own, and where they are counted.",
    "config.recipients": "Where messages may go.",
    "config.consumers.recipients": "Instead of `recipients` below.",
    "config.delivery_reports": "Reports of FutureSMS about what became of each order.",
    "config.log": "What the adapter writes to Kong's error log.",
    "config.metrics": "Numbers for Prometheus.",
    "config.consumers.merchant": "Instead of `merchant` below, setting by setting.",
    "config.consumers.rate_limit": "Instead of the windows of `rate_limit` below, window by window.",
    "config.rate_limit.redis": "The Redis server, for `policy: redis`.",
    "config.rate_limit.redis.host": "Name or address of the Redis server.",
    "config.rate_limit.redis.port": "Its port.",
    "config.rate_limit.redis.username": "ACL user; not set: the default user.",
    "config.rate_limit.redis.database": "Number of the database.",
    "config.rate_limit.redis.ssl": "Connect with TLS.",
    "config.rate_limit.redis.ssl_verify": "Check the server's certificate.",
}
"""Words for fields whose schema has none; a test sees that no field goes without."""


def paths(fields: Any = None, path: str = "config") -> Iterator[tuple[str, Attributes]]:
    """Every setting: its path and what the schema says of it."""
    for field in SCHEMA if fields is None else fields:
        for name, attributes in field.items():
            yield f"{path}.{name}", attributes
            inner = _inner(attributes)
            if inner is not None:
                yield from paths(inner["fields"], f"{path}.{name}")


def undescribed() -> list[str]:
    """The settings that the reference would leave without a word."""
    return [path for path, attributes in paths() if not attributes.get("description") and path not in BESIDE]


def errors() -> str:
    """A section for each code."""
    parts = []
    for error in CATALOGUE:
        explanation = EXPLANATIONS[error.code]
        parts += [
            f"## {error.code} {error.title}\n",
            f"HTTP {error.status}. {explanation.seen}\n",
            f"```json\n{_example(error).body}\n```\n",
            _causes(explanation),
        ]
    parts += ["## An answer in another form\n", f"{NOT_YEASTAR.seen}\n", _causes(NOT_YEASTAR)]
    return "\n".join(parts)


def _example(error: Error) -> Refusal:
    """A refusal with this code; where it has a detail, that of a message which earns it."""
    message = {"from": "+63280000001", "to": "+639171234567", "text": "Hello"}
    faults = ({"to": "09171234567"}, {"text": " "}, {"media_urls": ["https://example.com/menu.png"]})
    refusals = [_refused(message | fault) for fault in faults]
    return next((refusal for refusal in refusals if refusal.error == error), Refusal(error))


def _refused(message: dict[str, Any]) -> Refusal:
    try:
        Message.parse(json.dumps(message).encode())
    except Refusal as refusal:
        return refusal
    raise AssertionError(f"{message} is not refused")


def _causes(explanation: Explanation) -> str:
    rows = ["| cause, the likeliest first | who can fix it | where to look |", "| --- | --- | --- |"]
    rows += [f"| {cause.what} | {cause.who} | {cause.look} |" for cause in explanation.causes]
    return "\n".join(rows) + "\n"


def translation() -> str:
    """What becomes of FutureSMS's answers."""
    rows = [
        "| FutureSMS answers | the PBX gets |",
        "| --- | --- |",
        "| 2xx with `data.order_id` | 200 `data.id` |",
    ]
    for row in TABLE:
        error = row.error(Answer(status=418))
        rows.append(
            f"| {row.about} | {error.status} / [{error.code}](#{anchor(f'{error.code} {error.title}')}) |"
        )
        if row.about == "any other 4xx":
            known = ", ".join(f"`{name}` {entry.code}" for name, entry in BY_ERROR_CODE.items())
            rows[-1] = f"| {row.about} | by its `error_code` ({known}), else {error.status} / {error.code} |"
    return "\n".join(rows) + "\n"


def commands() -> str:
    """Every command of yeastarctl with its options."""
    return "\n".join(_command(yeastarctl, "yeastarctl")).rstrip() + "\n"


def _command(command: click.Command, path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in sorted(command.list_commands(context)):
            if found := command.get_command(context, name):
                yield from _command(found, f"{path} {name}")
        return
    words = [p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument)]
    yield f"## `{path}`\n"
    yield f"```\n{' '.join([path, '[OPTIONS]', *words])}\n```\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    yield "| option | default | meaning |"
    yield "| --- | --- | --- |"
    for option in command.params:
        if isinstance(option, click.Option):
            yield f"| {_spelling(option)} | {_option_default(option)} | {_option_help(option)} |"
    yield ""


def _spelling(option: click.Option) -> str:
    value = ""
    if not option.is_flag:
        value = " " + (
            option.metavar or {"integer range": "N", "integer": "N"}.get(option.type.name, "VALUE")
        )
        if isinstance(option.type, click.Path):
            value = " FILE" if not option.type.dir_okay else " DIR"
    return f"`{option.opts[0]}{value}`"


def _option_default(option: click.Option) -> str:
    if option.required:
        return "**required**"
    return f"`{option.default}`" if option.show_default else "–"


def _option_help(option: click.Option) -> str:
    said = option.help or ""
    if isinstance(option.type, (click.IntRange, click.FloatRange)) and option.type.max is not None:
        said += f" At most {option.type.max:g}."
    if option.envvar:
        said += f" Environment variable: `{option.envvar}`."
    return said.replace("|", "\\|")
