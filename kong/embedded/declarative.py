"""kong.yml (or its JSON form) → Configuration, with Kong's checks, ids and error texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kong.embedded.configuration import Configuration
from kong.embedded.plugin_catalogue import PluginCatalogue


class ConfigurationError(Exception):
    """A configuration that is refused.

    `errors` is Kong's tree: nested objects, and lists for the entries of a collection (entries without an error before
    the faulty one are null), with a text at every leaf. `str()` is one line for the command line.
    """

    def __init__(self, errors: dict[str, Any], source: str | None = None) -> None:
        self.errors = errors
        self.source = source
        super().__init__(source)


def load(
    text: str | bytes,
    catalogue: PluginCatalogue,
    *,
    source: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Configuration:
    """Read a declarative configuration.

    `source` is the file's name, for messages; `environ` is where {vault://env/…} looks (default: os.environ).
    Raises ConfigurationError.
    """
    raise NotImplementedError
