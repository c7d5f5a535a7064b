"""How the plugins of the replays become plugin servers: kong-pdk's own, where Kong expects it, with a record."""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from kong_pdk import listener
from kong_pdk.cli import start_dedicated_server

from tests.fidelity.prefix import HOLD, RECORD


def serve(plugin: type, schema: tuple[dict[str, Any], ...]) -> None:
    """Be the plugin server `yeastar-adapter`; Kong's prefix is the working directory."""
    if not {"-dump", "--dump"} & set(sys.argv):
        while Path(HOLD).exists():
            time.sleep(0.02)
        _record_messages()
        print("the plugin of the replays", flush=True)
        sys.argv += ["-p", os.getcwd(), "--socket-name", "yeastar-adapter.socket", "--no-lua-style", "-g"]
    start_dedicated_server("yeastar-adapter", plugin, "0.1.0", 1000, schema)


def _record_messages() -> None:
    lock = threading.Lock()
    unpacker, packb = listener.msgpack.Unpacker, listener.msgpack.packb
    connections = itertools.count(1)

    def write(sender: str, message: Any, **more: Any) -> None:
        with lock, Path(RECORD).open("a", encoding="utf-8") as record:
            record.write(json.dumps({"from": sender, "message": _as_json(message), **more}) + "\n")

    class Recording:
        """kong-pdk's msgpack module, as its listener sees it."""

        @staticmethod
        def Unpacker(*args: Any, **options: Any) -> Any:
            connection = next(connections)
            for message in unpacker(*args, **options):
                write("kong", message, connection=connection)
                yield message

        @staticmethod
        def packb(message: Any) -> bytes:
            write("plugin", message)
            packed: bytes = packb(message)
            return packed

    listener.msgpack = Recording


def _as_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bin": value.decode("latin-1")}
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    return value
