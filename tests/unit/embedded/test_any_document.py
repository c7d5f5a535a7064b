"""Whatever a text says, it is a configuration or a ConfigurationError with one line."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kong_declarative import core_schemas, declarative
from kong_declarative.configuration_error import ConfigurationError, lua_literal
from kong_declarative.plugin_catalogue import PluginCatalogue

from kong.embedded.runloop.router import Router

_KINDS = tuple(core_schemas.KINDS)
_FIELDS = {
    name for kind in core_schemas.KINDS.values() for entry in kind.definition["fields"] for name in entry
}
_OTHERS = {
    "_format_version",
    "url",
    "ttl",
    "limits",
    "second",
    "label",
    "password",
    "access",
    "minute",
    "redis_host",
}
_NAMES = st.sampled_from(sorted({*_KINDS, *_FIELDS, *_OTHERS}))

_PLAIN = {
    "",
    "a",
    "pbx",
    "acl",
    "rate-limiting",
    "post-function",
    "http",
    "grpc",
    "GET",
    "local",
    "redis",
    "3.0",
}
_SPECIAL = {
    "/a",
    "//",
    "~/(",
    "~/a$",
    "*.a",
    "http://h:1/x",
    "{vault://env/x}",
    "x" * 300,
    "\ud83d",
    "é",
    "a:99999",
}
_TEXTS = st.sampled_from(sorted(_PLAIN | _SPECIAL))

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=25,
)
_ENTITIES = st.lists(st.dictionaries(_NAMES, _VALUES, max_size=6), max_size=3)
_DOCUMENTS = st.fixed_dictionaries(
    {"_format_version": st.sampled_from(["3.0", "1.1"])}, optional=dict.fromkeys(_KINDS, _ENTITIES)
)


def refusal_of(text: str, catalogue: PluginCatalogue) -> ConfigurationError | None:
    """Load a text; what is taken can be used, too."""
    try:
        configuration = declarative.load(text, catalogue, source="kong.yml", environ={})
    except ConfigurationError as refusal:
        return refusal
    Router(configuration).match("GET", "/a", "h", {})
    json.dumps(configuration.as_entities())
    for plugin in configuration.plugins:
        json.dumps(plugin.server_config())
    return None


def check(text: str, catalogue: PluginCatalogue) -> None:
    refusal = refusal_of(text, catalogue)
    if refusal is not None:
        assert refusal.errors
        assert len(str(refusal).splitlines()) == 1
        assert lua_literal(refusal.errors)
        assert json.loads(json.dumps(refusal.errors)) == refusal.errors


@given(_DOCUMENTS)
def test_every_document_of_the_right_kind(catalogue: PluginCatalogue, declared: dict[str, Any]) -> None:
    check(json.dumps(declared), catalogue)


@given(_VALUES)
def test_every_value(catalogue: PluginCatalogue, value: Any) -> None:
    check(json.dumps(value), catalogue)


@given(st.text(alphabet="abc:-[]{}&*!|>'\"#%@`,?~<\n\t 0123.=", max_size=60))
def test_every_text(catalogue: PluginCatalogue, text: str) -> None:
    check(text, catalogue)
