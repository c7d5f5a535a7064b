"""Vault references and secrets of an instance's configuration."""

from collections.abc import Iterator

from yeastar_adapter.schema import OPTIONAL, SCHEMA

from .document import Node
from .finding import Finding, error, warning
from .schema import field_at
from .vault import Environment, Reference, looks_like_reference


def check(config: Node, environment: Environment) -> Iterator[Finding]:
    """Find references that stay unresolved, and secrets that stand in the file."""
    off = {id(entry.value) for entry in config.each("consumers") if _is_off(entry)}
    yield from _walk(config, (), environment, off, quiet=False)


def _walk(
    node: Node, names: tuple[str, ...], environment: Environment, off: set[int], quiet: bool
) -> Iterator[Finding]:
    quiet = quiet or id(node.value) in off
    if isinstance(node.value, str):
        attributes = field_at(SCHEMA, *names) or {}
        if looks_like_reference(node.value):
            yield from _reference(node, names, bool(attributes.get("referenceable")), environment, quiet)
        elif node.value and names[-1] == "password" and attributes.get("encrypted"):
            yield warning(
                "password-in-clear",
                node,
                "a password stands here in clear: whoever reads this file has it",
                'write a vault reference such as "{vault://env/futuresms-password}" and set FUTURESMS_PASSWORD'
                " for Kong",
            )
    for key, child in node.pairs():
        # A map's values have one schema for all keys.
        inside_map = (field_at(SCHEMA, *names) or {}).get("type") == "map" if names else False
        yield from _walk(child, (*names, "*" if inside_map else str(key)), environment, off, quiet)
    for child in node.entries():
        yield from _walk(child, (*names, "*"), environment, off, quiet)


def _reference(
    node: Node, names: tuple[str, ...], referenceable: bool, environment: Environment, quiet: bool
) -> Iterator[Finding]:
    reference = Reference.parse(node.value)
    if reference is None:
        yield error(
            "vault-malformed",
            node,
            f"{node.value!r} is no vault reference; Kong takes it as it stands",
            'the whole string must be "{vault://env/name}", nothing before or after it',
        )
    elif not referenceable:
        yield error(
            "vault-not-here",
            node,
            "Kong does not resolve references in this field; it takes the text as it stands",
            "write the value itself",
        )
    elif names not in OPTIONAL and environment.known and environment.resolve(node.value) == "":
        variable = environment.variable(reference)
        finding = warning if quiet else error
        yield finding(
            "vault-unset",
            node,
            f"the environment variable {variable} is not set: Kong hands over an empty value without a word",
            f"set {variable} for Kong; if this is not Kong's environment: --env-file FILE or"
            " --no-environment",
        )


def _is_off(entry: Node) -> bool:
    enabled = entry.get("enabled")
    return enabled is not None and enabled.value is False
