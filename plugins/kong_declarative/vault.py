"""Vault references in configuration values: `{vault://env/name}`.

The one vault of this gateway is Kong's `env`: `{vault://env/my-key}` is the variable MY_KEY, `{vault://env/my-key/part}`
the member `part` of the JSON object in it, `{vault://env/key?prefix=my-}` the variable MY_KEY again. What cannot be
resolved becomes "" with one line in the log, as with Kong.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

log = logging.getLogger(__name__)

_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class UnresolvedReference(Exception):
    """A reference without a value; the text says why and holds no secret."""


def is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("{vault://") and value.endswith("}")


@dataclass(frozen=True)
class Reference:
    """`{vault://name/resource/key?config#version}`."""

    name: str
    resource: str
    key: str | None
    config: Mapping[str, str]
    version: int | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises UnresolvedReference for text that has the look of a reference but no sense."""
        rest, _, fragment = text[len("{vault://") : -1].partition("#")
        rest, _, query = rest.partition("?")
        rest = rest.partition(";")[0]
        name, slash, path = rest.partition("/")
        if not name:
            raise UnresolvedReference(f"reference url is missing host [{text}]")
        if not slash:
            raise UnresolvedReference(f"reference url is missing path [{text}]")
        if not path:
            raise UnresolvedReference(f"reference url has empty path [{text}]")
        if fragment and not fragment.isdigit():
            raise UnresolvedReference(f"reference url has invalid version [{text}]")
        parts = [unquote(part) for part in path.split("/") if part]
        if not parts:
            raise UnresolvedReference(f"reference url has invalid path [{text}]")
        has_key = len(parts) > 1 and not path.endswith("/")
        return cls(
            name=name,
            resource="/".join(parts[:-1] if has_key else parts),
            key=parts[-1] if has_key else None,
            config=dict(parse_qsl(query)),
            version=int(fragment) if fragment else None,
        )


class EnvironmentVault:
    """Resolves references from environment variables. `environ` is read at every call.

    `prefixes`: what vault entities of type `env` put in front of names, by the entity's own prefix.
    """

    def __init__(
        self, environ: Mapping[str, str] | None = None, prefixes: Mapping[str, str] | None = None
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._prefixes = dict(prefixes or {})

    def __call__(self, reference: str) -> str:
        """The value of a reference, "" without one."""
        try:
            return self.get(reference)
        except UnresolvedReference as reason:
            log.warning("unable to resolve reference %s (%s)", reference, reason)
            return ""

    def get(self, text: str) -> str:
        """Raises UnresolvedReference."""
        reference = Reference.parse(text)
        value = self._environ.get(self.variable(reference))
        if value is None:
            raise UnresolvedReference("could not get value from external vault (no value found)")
        return value if reference.key is None else _member(value, reference.key)

    def variable(self, reference: Reference) -> str:
        """The environment variable of a reference. Raises UnresolvedReference for another vault."""
        if reference.name != "env" and reference.name not in self._prefixes:
            raise UnresolvedReference(f"could not find vault ({reference.name})")
        prefix = (
            reference.config.get("prefix")
            or self._prefixes.get(reference.name)
            or self._environ.get("KONG_VAULT_ENV_PREFIX", "")
        )
        variable = (prefix if _PREFIX.fullmatch(prefix) else "") + reference.resource
        variable = variable.replace("-", "_").upper()
        return f"{variable}_PREVIOUS" if reference.version == 2 else variable


def _member(value: str, key: str) -> str:
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        reason = "unable to json decode value"
    elif key not in found:
        reason = f"subfield {key} not found in JSON secret"
    elif not isinstance(found[key], str):
        reason = f"unexpected type of value in JSON secret for subfield {key}"
    else:
        member: str = found[key]
        return member
    raise UnresolvedReference(
        f"could not get value from external vault (could not get subfield value: {reason})"
    )
