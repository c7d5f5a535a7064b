"""`{vault://env/…}` references, looked up as Kong looks them up."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from .document import Node

_REFERENCE = re.compile(r"\{vault://([^/}?]+)/([^/}?]+)(?:/([^/}?]+))?(?:\?([^}#]*))?\}")


@dataclass(frozen=True)
class Reference:
    """`{vault://VAULT/NAME/KEY?prefix=PREFIX}`; `key` is None when the whole value is meant."""

    vault: str
    name: str
    key: str | None
    prefix: str | None

    @classmethod
    def parse(cls, text: str) -> Reference | None:
        """The reference that a whole string is, or None: Kong resolves no others."""
        match = _REFERENCE.fullmatch(text)
        if match is None:
            return None
        return cls(match[1], match[2], match[3], dict(parse_qsl(match[4] or "")).get("prefix"))


def looks_like_reference(text: str) -> bool:
    return "{vault:" in text


class Environment:
    """The variables that the `env` vault would see.

    `vaults`: vault entities of the files by their prefix; one of type `env` may put something in front of names.
    `variables` None: unknown, nothing is looked up.
    """

    def __init__(self, variables: Mapping[str, str] | None, vaults: Mapping[str, Node]) -> None:
        self._variables = variables
        self._prefixes = {"env": (variables or {}).get("KONG_VAULT_ENV_PREFIX", "")}
        for prefix, node in vaults.items():
            if node.text("name") == "env":
                config = node.get("config")
                self._prefixes[prefix] = (config.text("prefix") if config else None) or ""

    @property
    def known(self) -> bool:
        return self._variables is not None

    def variable(self, reference: Reference) -> str | None:
        """The environment variable of a reference; None for vaults that are not the environment."""
        if reference.vault not in self._prefixes:
            return None
        prefix = reference.prefix or self._prefixes[reference.vault]
        return (prefix + reference.name).replace("-", "_").upper()

    def resolve(self, text: str) -> str | None:
        """What the plugin will get for a string: itself, the variable's value, `""` for one that is not set.

        None when that cannot be known here.
        """
        reference = Reference.parse(text)
        if reference is None:
            return text
        variable = self.variable(reference)
        if variable is None or self._variables is None:
            return None
        value = self._variables.get(variable, "")
        if reference.key is None:
            return value
        try:
            member = json.loads(value)[reference.key]
        except (ValueError, KeyError, TypeError):
            return ""
        return member if isinstance(member, str) else ""


def read_env_file(text: str) -> dict[str, str]:
    """The variables of a `.env` file: `NAME=value` lines, quotes and `export` allowed, `#` for comments."""
    variables = {}
    for line in text.splitlines():
        name, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and not name.startswith("#"):
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            else:
                value = value.partition(" #")[0].rstrip()
            variables[name.strip()] = value
    return variables
