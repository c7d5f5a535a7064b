"""Kong's environment variables, as its `env` vault sees them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from kong_declarative.vault import EnvironmentVault, Reference, UnresolvedReference, is_reference

from .node import Node

SECRETS_DIRECTORY = "/run/secrets"
_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")

ENTERPRISE_VAULTS = frozenset({"aws", "azure", "conjur", "gcp", "hcv"})


class Variables(dict[str, str]):
    """Environment variables by name. `unreadable`: secret files that are there and may not be read, by variable."""

    unreadable: Mapping[str, Path] = {}

    @classmethod
    def of_kong(cls, environ: Mapping[str, str], env_file: Path | None = None) -> Variables:
        """What Kong would have here: an environment, secret files as the image's entry point reads them, a `.env` file.

        /run/secrets/futuresms-password is FUTURESMS_PASSWORD, unless that is set. Raises OSError for `env_file`.
        """
        variables = cls(environ)
        unreadable = {}
        for file in _secret_files(Path(environ.get("SECRETS_DIRECTORY") or SECRETS_DIRECTORY)):
            name = file.name.upper().replace("-", "_")
            if not _NAME.fullmatch(name) or variables.get(name):
                continue
            try:
                variables[name] = file.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")
            except OSError:
                unreadable[name] = file
        if env_file is not None:
            variables.update(read_env_file(env_file.read_text(encoding="utf-8")))
        variables.unreadable = unreadable
        return variables


def _secret_files(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.is_file())
    except OSError:
        return []


class Environment:
    """Looks up vault references.

    `variables`: Kong's environment; None: unknown, nothing is looked up. `vaults`: the vault entities of the files.
    """

    def __init__(self, variables: Mapping[str, str] | None, vaults: Iterable[Node] = ()) -> None:
        self.known = variables is not None
        self.unreadable = variables.unreadable if isinstance(variables, Variables) else {}
        self.vaults = {"env"} | {node.text("prefix") or "" for node in vaults}
        prefixes = {
            node.text("prefix") or "": node.text("config", "prefix") or ""
            for node in vaults
            if node.text("name") == "env"
        }
        self._vault = EnvironmentVault(variables or {}, prefixes)

    def variable(self, text: str) -> str | None:
        """The environment variable of a reference; None for another vault, and for what is no reference."""
        try:
            return self._vault.variable(Reference.parse(text)) if is_reference(text) else None
        except UnresolvedReference:
            return None

    def resolve(self, text: str) -> str | None:
        """What the plugin will get for a string: itself, the variable's value, `""` for one that is not set.

        None when that cannot be known here.
        """
        if not is_reference(text):
            return text
        if not self.known or self.variable(text) is None:
            return None
        try:
            return self._vault.get(text)
        except UnresolvedReference:
            return ""

    def text(self, node: Node | None) -> str | None:
        """`resolve` for the string of a node; None for anything else."""
        return self.resolve(node.value) if node and isinstance(node.value, str) else None


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
