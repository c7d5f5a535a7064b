"""What Kong would refuse, in Kong's words, with the place and the cure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from kong_declarative import declarative
from kong_declarative.configuration_error import Path
from kong_declarative.entity_schemas import EntitySchemas
from kong_declarative.plugin_catalogue import PluginCatalogue
from kong_declarative.schema import REQUIRED, UNKNOWN, Field, Schema
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from .finding import Edit, Finding, error, hint
from .known import OTHER_BUNDLED, OURS, catalogue, definitions
from .node import Node
from .sources import similar

# What the translation of manifests notes for itself.
_PRIVATE = frozenset({"_unbound", "_unjudged", "_host_header", "_at"})
_ENTERPRISE = {
    "consumer_group": "consumer groups",
    "consumer_groups": "consumer groups",
    "ordering": "dynamic ordering",
    "partials": "partials",
}
_SECRETS = frozenset({"password", "secret", "api_keys", "keyauth_credentials"})
_PLUGIN_NAME = re.compile(r"[A-Za-z0-9_-]+")
_URL_PARTS = ("protocol", "host", "port", "path")
_REFERENCES = ("service", "route", "consumer")


def check(root: Node, deck: bool) -> Iterator[Finding]:
    """Every fault that Kong's validation finds, and the plugins that it knows and this check does not.

    `deck`: decK loads the file, which takes `{name: …}` for a reference too.
    """
    names = list(_plugin_names(root))
    unknown = {node.value for node in names if node.value not in definitions()}
    misspelt: dict[str, str] = {}
    for name in unknown - OTHER_BUNDLED:
        meant = similar(name, [*definitions(), *OTHER_BUNDLED])
        if meant is not None and _is_slip(name, meant):
            misspelt[name] = meant
    for node in names:
        if node.value in misspelt:
            meant = misspelt[node.value]
            yield error(
                "plugin-unknown",
                node,
                f"plugin '{node.value}' not enabled; add it to the 'plugins' configuration property",
                f"did you mean {meant}?",
                Edit(str(node.value), meant),
            )
    for name in sorted(unknown - set(misspelt)):
        if not _PLUGIN_NAME.fullmatch(name):
            node = next(node for node in names if node.value == name)
            yield error("plugin-unknown", node, f"plugin '{name}' not enabled: no plugin can have this name")
            continue
        node = next(node for node in names if node.value == name)
        kind = "bundled with Kong" if name in OTHER_BUNDLED else "no plugin of Kong's or of this project"
        yield hint(
            "not-judged",
            node,
            f"the configuration of {name} ({kind}) is not checked here",
            "ask a running Kong: --admin-url URL",
        )
    judged = catalogue(frozenset(str(name) for name in unknown))
    value = _plain(root)
    if deck:
        _name_references(value)
    for path, text in declarative.faults(value, judged):
        yield _finding(root, path, text, judged)


def _plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _plain(member) for key, member in node.value.items() if key not in _PRIVATE}
    return [_plain(member) for member in node.value] if isinstance(node.value, list) else node.value


def _name_references(value: Any) -> None:
    """Write `service: {name: futuresms}` as `service: futuresms`, in place."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key in _REFERENCES and isinstance(member, dict) and "id" not in member:
                value[key] = member.get("name", member.get("username", member))
            else:
                _name_references(member)
    elif isinstance(value, list):
        for member in value:
            _name_references(member)


def _plugin_names(root: Node) -> Iterator[Node]:
    """The name of every plugin instance, wherever it stands."""
    for path, node in root.walk():
        if len(path) >= 2 and path[-2] == "plugins" and isinstance(path[-1], int) and "config" not in path:
            name = node.get("name")
            if name is not None and isinstance(name.value, str):
                yield name


def _is_slip(name: str, meant: str) -> bool:
    """Whether a name is a misspelling rather than the name of another plugin."""
    plain = re.sub(r"[^a-z]", "", name.lower())
    target = re.sub(r"[^a-z]", "", meant)
    return plain == target or meant in OURS or abs(len(plain) - len(target)) <= 2


def _finding(root: Node, path: Path, text: str, judged: PluginCatalogue) -> Finding:
    path = _without_marks(path)
    node, left = root.nearest(path)
    schemas = judged.schemas
    if left and left[0] in _URL_PARTS and (url := node.get("url")) is not None:
        return _url(url, left, text)
    if text.startswith("Router Expression"):
        node = node.get("paths") or node.get("headers") or node
    if text == UNKNOWN:
        return _unknown(node, path, _siblings(schemas, path, root))
    if text == REQUIRED:
        return _required(node, path, left, _siblings(schemas, path, root))
    if path[-2:-1] == ("countries",):
        rule = "type" if text.startswith("expected ") else "value"
        return error(rule, node, f"{_name(path)}: {text}", _country_cure(node.value))
    if text.startswith("expected ") and (cure := _type_cure(node, text, _is_secret(path))) is not None:
        return error("type", node, f"{_name(path)}: {text}", *cure)
    if "uniqueness violation" in text:
        return error("duplicate", node, text, _duplicate_cure(path, text))
    if text.startswith("invalid reference"):
        return error("reference", _reference_node(node, text), text, "add the entity, or correct the name")
    if text.startswith(("error parsing", "Error parsing")):
        return error(
            "lua-syntax", node, text, "Kong compiles every function when it reads the file: correct the Lua"
        )
    if (
        text == "missing primary key"
        and len(path) > 1
        and isinstance(named := node.value, dict)
        and "name" in named
    ):
        name = node.text("name")
        return error(
            "reference",
            node,
            f"{path[-2]}: {text}: only decK takes `{path[-2]}: {{name: …}}`",
            f"write `{path[-2]}: {name}`",
        )
    if path and path[-1] in ("consumer", "route", "service") and text == "value must be null":
        return error(
            "scope",
            node,
            f"{_name(path)}: {text}: this plugin cannot belong to one {path[-1]}",
            "put it on the route, the service or the whole gateway",
        )
    if not left and path[-1:] == ("plugins",) and "not enabled" in text:
        return error("plugin-unknown", node, text)
    if "consumer" in path[-2:] and text == "value must be null":
        return error("scope", node, text)
    return error("value", node, f"{_name(path)}: {text}" if path else text, _value_cure(node, path, text))


def _without_marks(path: Path) -> Path:
    return path[: path.index("@entity")] if "@entity" in path else path


def _name(path: Path) -> str:
    named = [part for part in path if isinstance(part, str)]
    return named[-1] if named else ""


# Schemas at a path


def _siblings(schemas: EntitySchemas, path: Path, root: Node) -> list[str]:
    """The fields that the record around a path may have."""
    schema: Schema | None = schemas.file
    node: Node = root
    for part in path[:-1]:
        if schema is None:
            return []
        field = _field(schema, node, str(part)) if not isinstance(part, int) else None
        node = node.nearest((part,))[0]
        if isinstance(part, int):
            continue
        while field is not None and field.elements is not None:
            field = field.elements
        if field is not None and field.values is not None and field.record is None:
            field = field.values
        schema = field.record if field is not None else None
    return (
        [name for name in (*schema.fields, *schema.shorthands) if not name.startswith("_")] if schema else []
    )


def _field(schema: Schema, node: Node, name: str) -> Field | None:
    return schema.field(name, schema.subschema(node.plain) if isinstance(node.value, dict) else None)


# Findings by kind


def _unknown(node: Node, path: Path, siblings: Sequence[str]) -> Finding:
    name = str(path[-1]) if path else ""
    problem = f"{name}: {UNKNOWN}"
    if name in _ENTERPRISE:
        return error("unknown-field", node, problem, f"{_ENTERPRISE[name]} belong to Kong Enterprise")
    meant = similar(name, siblings)
    if meant is not None:
        return error("unknown-field", node, problem, f"did you mean {meant}?", Edit(f"{name}:", f"{meant}:"))
    if len(path) == 1:
        todo = (
            "for anchors and notes Kong has `_ignore:`, a list" if name.startswith(("x-", ".", "_")) else ""
        )
        return error("unknown-field", node, problem, todo or f"known are {', '.join(siblings[:6])}, …")
    return error("unknown-field", node, problem, "remove it")


def _required(node: Node, path: Path, left: Path, siblings: Sequence[str]) -> Finding:
    name = _name(path)
    written = [str(key) for key, _ in node.pairs()] if left else []
    meant = next((key for key in written if key not in siblings and similar(key, [name])), None)
    if meant is not None:
        return error("required", node, f"{name}: {REQUIRED}", f"{meant} was probably meant to be {name}")
    return error("required", node, f"{name}: {REQUIRED}", f"add `{name}:`")


def _is_secret(path: Path) -> bool:
    return not _SECRETS.isdisjoint(part for part in path if isinstance(part, str))


def _type_cure(node: Node, text: str, secret: bool) -> tuple[str, Edit | None] | None:
    """What to do about a value of the wrong type; None for texts that are about something else.

    `secret`: the value is not shown.
    """
    wanted = text.removeprefix("expected ").removeprefix("an ").removeprefix("a ")
    value = node.value
    if wanted == "string":
        if isinstance(value, dict) and set(value) == {"sha256"}:
            return "remove the space after `sha256:`, or quote the whole: YAML has read a mapping", Edit(
                "sha256: ", "sha256:"
            )
        if isinstance(value, bool):
            return "quote it: unquoted, YAML reads yes, no, on, off, true and false as a switch", None
        if isinstance(value, (int, float)):
            return "quote it" if secret else f'quote it: "{value}"', None
        if isinstance(value, list):
            return "write one value, without `[ ]` or `- `", None
        return "write a text in quotes", None
    if wanted in ("integer", "number"):
        if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value.strip()):
            return f"write the number without quotes: {value.strip()}", None
        return (
            "write a number without quotes" if wanted == "number" else "write a whole number, without quotes",
            None,
        )
    if wanted == "boolean":
        return "write true or false, without quotes", None
    if wanted in ("array", "set"):
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            shown = "…" if secret else value
            return f"write a list: [{shown}]", Edit(f": {value}", f": [{value}]")
        return "write a list, each entry with `- ` in front", None
    if wanted in ("record", "map"):
        return "write `name: value` lines below it, indented", None
    if wanted.startswith("one of: ") and isinstance(value, str):
        options = wanted.removeprefix("one of: ").split(", ")
        meant = similar(value, options)
        return (f"did you mean {meant}?", Edit(value, meant)) if meant else ("take one of these", None)
    return None


def _country_cure(value: Any) -> str:
    """What to write for a country that is no code of two letters: of a country code, whose it is."""
    digits = re.sub(r"\D", "", str(value))
    regions = COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:4])) if digits else None
    if isinstance(value, bool):
        return 'quote it: unquoted, YAML reads NO, Norway, as a switch: "NO"'
    return f"write the two letters of the country: {regions[0] if regions else 'PH'}"


def _url(url: Node, left: Path, text: str) -> Finding:
    written = str(url.value)
    if "://" not in written:
        return error(
            "url",
            url,
            f"{left[0]}: {text}: the url {written!r} has no scheme",
            f"write https://{written.lstrip('/')}",
        )
    return error(
        "url", url, f"{left[0]}: {text}, in the url {written!r}", "write https://HOST, or https://HOST:PORT"
    )


def _duplicate_cure(path: Path, text: str) -> str:
    if "'plugins' entity" in text:
        return "one plugin may stand once at one place: merge the two"
    if "keyauth_credentials" in text:
        return "give each consumer a key of its own"
    return "give it another name, or merge the two"


def _reference_node(node: Node, text: str) -> Node:
    found = re.match(r"invalid reference '(\w+):", text)
    return (node.get(found[1]) if found else None) or node


def _value_cure(node: Node, path: Path, text: str) -> str:
    value = node.value
    if "is not installed" in text:
        return "Kong itself has the vault env; the others belong to Kong Enterprise (ask yours: --admin-url)"
    if text == "length must be at least 1":
        return "write a value, or remove the line"
    if text.startswith("should start with: http"):
        return (
            f"write https://{value}"
            if isinstance(value, str) and "://" not in value
            else "write an https address"
        )
    if "look-around" in text or "backreferences" in text or "regex" in text:
        return (
            "Kong's router takes the regular expressions of Rust's regex: no look-around, no references back"
        )
    if "at least one of these fields must be non-empty: 'custom_id', 'username'" in text:
        return "add `username:`"
    if path[-1:] == ("name",) and "invalid value" in text:
        return "letters, digits, `.`, `-`, `_` and `~` only"
    if text.startswith("invalid value:") and path[-2:-1] == ("methods",):
        return "write methods in capital letters"
    if path[-1:] == ("host",):
        return "a host's name only: no scheme, no port, no path"
    return ""
