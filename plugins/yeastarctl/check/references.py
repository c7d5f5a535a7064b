"""Vault references and secrets of an instance's configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kong_declarative.vault import Reference, UnresolvedReference, is_reference
from yeastar_adapter.schema import OPTIONAL

from .environment import ENTERPRISE_VAULTS, Environment
from .finding import Edit, Finding, error, hint, warning
from .known import config_field
from .node import Node
from .sources import similar

# Something that was meant to be filled in by somebody: a vault reference with mistakes, or another tool's variable.
_VAULT = re.compile(r"v[a-z]{0,2}u?l?t\s*[:=/]|\{\s*vault|vault\s*:", re.IGNORECASE)
_MEANT = re.compile(
    r"\s*\$?[{(<\[]*\s*v[a-z]{0,3}t\s*[:=]?\s*[:/\\]*\s*(?P<vault>[a-z][\w-]*)\s*[/\\.:]+\s*(?P<name>[^\s{}()<>]+?)[/}\])>\s]*",
    re.IGNORECASE,
)
_ENV = re.compile(r"\s*\{+\s*env\s*[:./]+\s*(?P<name>[\w-]+)\s*\}+\s*", re.IGNORECASE)
_SHELL = re.compile(
    r"\$\{(?P<braced>[A-Za-z_]\w*)(:?[-?=+][^}]*)?\}|\$(?P<bare>[A-Z_][A-Z0-9_]{2,})|%(?P<dos>[A-Z_]{3,})%"
)
_DECK = re.compile(r"\$\{\{\s*env\s+[\"']DECK_\w+[\"']\s*\}\}")
_TEMPLATE = re.compile(r"\$?\{\{.*\}\}")
_SECRETS = frozenset({"password", "secret"})


def check(config: Node, environment: Environment) -> Iterator[Finding]:
    """Find references that stay unresolved, and secrets that stand in the file."""
    off = {id(entry) for entry in config.each("consumers") if entry.is_false("enabled")}
    in_off = False
    for path, node in config.walk():
        if len(path) <= 2:
            in_off = False
        if id(node) in off:
            in_off = True
        if isinstance(node.value, str):
            quiet = in_off and len(path) > 2
            yield from _text(node, path, environment, quiet)


def _text(
    node: Node, path: tuple[str | int, ...], environment: Environment, quiet: bool
) -> Iterator[Finding]:
    field = config_field(path)
    if is_reference(node.value) and not mistaken(node.value):
        names = tuple(part for part in path if isinstance(part, str))
        yield from _reference(node, names, bool(field and field.referenceable), environment, quiet)
        return
    mistake = _mistake(node)
    if mistake is not None:
        yield mistake
        return
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    if node.value and name in _SECRETS and field is not None and field.definition.get("encrypted"):
        yield warning(
            "password-in-clear",
            node,
            f"a {name} is in plain text here: anyone who can read this file has it",
            'write a vault reference such as "{vault://env/futuresms-password}" and set FUTURESMS_PASSWORD for Kong',
        )
    if node.value.strip() and name in (
        "username",
        "password",
        "sender_id",
        "template_id",
        "host",
        "base_url",
    ):
        yield from _white_space(node, node.value, name)


def mistaken(text: str) -> bool:
    """Whether a reference that Kong takes for one has white space or braces in it."""
    return bool(re.search(r"[\s{}]", text[1:-1]))


def _mistake(node: Node) -> Finding | None:
    """A text that was meant to be filled in, and that Kong takes as it stands."""
    text = node.value
    if _DECK.fullmatch(text):
        return hint("not-judged", node, "decK puts the value of an environment variable here", "")
    if _TEMPLATE.search(text) and "vault" not in text.lower():
        return error(
            "variable",
            node,
            f"{text!r} belongs to a template; Kong uses it as it is",
            'check the rendered file, or write a vault reference: "{vault://env/name}"',
        )
    if _VAULT.search(text) and ("{" in text or "://" in text or "}" in text):
        meant = _MEANT.fullmatch(text)
        corrected = None
        if meant is not None:
            vault = meant["vault"] if meant["vault"] in ENTERPRISE_VAULTS else "env"
            corrected = f"{{vault://{vault}/{meant['name'].strip('/')}}}"
        return error(
            "vault-malformed",
            node,
            f"{text!r} is not a vault reference; Kong uses it as it is",
            f'write "{corrected}"'
            if corrected
            else 'the whole string must be "{vault://env/name}", nothing before or after it',
            Edit(text, corrected) if corrected else None,
        )
    found = _ENV.fullmatch(text) or _SHELL.search(text)
    if found is None:
        return None
    name = next(value for value in found.groupdict().values() if value)
    corrected = f"{{vault://env/{name.lower().replace('_', '-')}}}"
    whole = found[0].strip() == text.strip()
    return error(
        "variable",
        node,
        f"{found[0]} is a variable of a shell or of docker compose; Kong uses it as it is",
        f'write "{corrected}": Kong reads {name.upper().replace("-", "_")} from its environment',
        Edit(text, corrected) if whole else None,
    )


def _reference(
    node: Node, names: tuple[str, ...], referenceable: bool, environment: Environment, quiet: bool
) -> Iterator[Finding]:
    report = warning if quiet else error
    try:
        reference = Reference.parse(node.value)
    except UnresolvedReference as reason:
        yield error("vault-malformed", node, f"{node.value}: {reason}", 'write "{vault://env/name}"')
        return
    if not referenceable:
        yield error(
            "vault-not-here",
            node,
            "Kong does not resolve references in this field; it uses the text as it is",
            "write the value itself",
        )
    elif reference.name not in environment.vaults:
        yield from _other_vault(node, reference, environment)
    elif names not in OPTIONAL and environment.known and environment.resolve(node.value) == "":
        variable = environment.variable(node.value) or ""
        file = environment.unreadable.get(variable)
        if file is not None:
            yield warning(
                "vault-unset",
                node,
                f"the environment variable {variable} is not set here; its file {file} is there, and"
                f" this user may not read"
                " it",
                "run this as a user who may: Kong's, or root",
            )
            return
        state = (
            "has no such member" if reference.key and environment.resolve(node.value) == "" else "is not set"
        )
        yield report(
            "vault-unset",
            node,
            f"the environment variable {variable} {state}: Kong passes an empty value on, without any error",
            f"set {variable} for Kong; if this is not Kong's environment: --env-file FILE or --no-environment",
        )
    elif environment.known and names[-1] in ("username", "password", "sender_id", "template_id"):
        value = environment.resolve(node.value)
        if value and value.strip():
            yield from _white_space(
                node, value, f"the environment variable {environment.variable(node.value)}"
            )


def _other_vault(node: Node, reference: Reference, environment: Environment) -> Iterator[Finding]:
    meant = similar(reference.name, sorted(environment.vaults | ENTERPRISE_VAULTS), 0.6)
    if reference.name in ENTERPRISE_VAULTS:
        yield hint(
            "not-judged",
            node,
            f"the vault {reference.name} is one of Kong Enterprise; what is in it is not known here",
        )
    elif meant is not None:
        yield error(
            "vault-unknown",
            node,
            f"there is no vault {reference.name}: Kong passes an empty value on, without any error",
            f"did you mean {{vault://{meant}/{reference.resource}}}?",
            Edit(f"vault://{reference.name}/", f"vault://{meant}/"),
        )
    else:
        yield error(
            "vault-unknown",
            node,
            f"no file declares a vault {reference.name}: Kong passes an empty value on, without any error",
            f"{{vault://env/{reference.resource}}} is an environment variable; if the vault is"
            f" declared elsewhere, give that"
            " file too",
        )


def _white_space(node: Node, value: str, name: str) -> Iterator[Finding]:
    if value == value.strip():
        return
    if value.rstrip("\r\n") != value:
        yield hint(
            "white-space",
            node,
            f"there is a line break at the end of {name}; the adapter takes it off",
            "remove it; in a block, write `|-` instead of `|`",
        )
    else:
        report = warning if "password" in name.lower() else error
        yield report("white-space", node, f"there is white space around {name}", "remove it")
