"""file-log: one JSON line a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kong.embedded import values
from kong.embedded.pdk import log
from kong.embedded.plugins.bundled.plugin import BundledPlugin

if TYPE_CHECKING:
    from kong_declarative.entities import PluginInstance

    from kong.embedded.http.exchange import Exchange


class FileLog(BundledPlugin):
    name = "file-log"
    priority = 9

    def log(self, exchange: Exchange, instance: PluginInstance) -> None:
        for key, expression in (instance.config.get("custom_fields_by_lua") or {}).items():
            log.set_serialize_value(exchange, key, self.worker.lua.compile(expression).run(exchange))
        line = values.to_json(log.serialize(exchange)) + b"\n"
        path = instance.config["path"]
        try:
            with open(path, "ab", buffering=0) as file:
                file.write(line)
        except OSError as problem:
            self.worker.log.error(f"[file-log] failed to open the file: {problem.strerror}")
