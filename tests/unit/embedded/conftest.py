"""A plugin in another process, as its dump describes it, beside Kong's bundled ones."""

from __future__ import annotations

import pytest
from kong_declarative.plugin_catalogue import PluginCatalogue, PluginDefinition

PBX_PLUGIN = PluginDefinition(
    name="pbx",
    priority=1000,
    version="0.1.0",
    phases=("access", "response"),
    definition={
        "name": "pbx",
        "fields": [
            {
                "config": {
                    "type": "record",
                    "fields": [
                        {"label": {"type": "string", "default": "none"}},
                        {"password": {"type": "string", "referenceable": True}},
                        {
                            "limits": {
                                "type": "record",
                                "fields": [
                                    {"second": {"type": "number", "gt": 0}},
                                    {"minute": {"type": "number"}},
                                ],
                            }
                        },
                    ],
                }
            }
        ],
    },
)


@pytest.fixture(scope="session")
def catalogue() -> PluginCatalogue:
    return PluginCatalogue.of(["bundled", "pbx"], [PBX_PLUGIN])
