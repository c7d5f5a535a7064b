"""The plugin server with a plugin that raises at whichever line of its own code it is told to.

`python tests/faults/raising_adapter.py -p PREFIX`. The file `raise.json` in the prefix says what to do in the next
event of a phase: `{"phase": "access", "at": 17, "what": "MemoryError"}` raises in the place of the 17th line that is
carried out; `raised` then has that line. Only lines of the plugin's own modules count, and of those none that cleans up
after an exception.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from kong_plugin_server.patching import patch_standard_library
    from kong_plugin_server.stderr import reserve_standard_descriptors

    reserve_standard_descriptors()
    patch_standard_library()

import ast
import builtins
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import gevent
import greenlet
import yeastar_adapter
from kong_plugin_server import serve
from kong_plugin_server.command_line import parse
from yeastar_adapter.handler import SPEC, Plugin

HOME = Path(yeastar_adapter.__file__).parent


class Unforeseen(Exception):
    """What no code can be waiting for."""


OTHERS = {"Timeout": gevent.Timeout, "GreenletExit": greenlet.GreenletExit, "Unforeseen": Unforeseen}


@cache
def cleaning_up(file: str) -> frozenset[int] | None:
    """The lines of a module on which a `with` is left, or a `try` stands alone, or that are in a `finally`; None for a
    module of somebody else."""
    path = Path(file)
    if HOME not in path.parents:
        return None
    found: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.With | ast.Try):
            found.add(node.lineno)
        if isinstance(node, ast.Try) and node.finalbody:
            found.update(range(node.finalbody[0].lineno, (node.finalbody[-1].end_lineno or 0) + 1))
    return frozenset(found)


def is_cleaning_up(frame: FrameType | None) -> bool:
    while frame is not None:
        lines = cleaning_up(frame.f_code.co_filename)
        if lines is None:
            return False
        if frame.f_lineno in lines:
            return True
        frame = frame.f_back
    return False


class Raising:
    """Counts lines of the plugin's modules, in whatever greenlet, and raises at one of them."""

    def __init__(self, prefix: Path, phase: str) -> None:
        self._prefix = prefix
        told: dict[str, Any] = {}
        if (prefix / "raise.json").exists():
            told = json.loads((prefix / "raise.json").read_text())
        self._left: int = told["at"] if told.get("phase") == phase else 0
        name = told.get("what", "Unforeseen")
        self._exception: type[BaseException] = OTHERS.get(name) or getattr(builtins, name)

    def __enter__(self) -> None:
        if self._left:
            sys.settrace(self._entered)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _entered(self, frame: FrameType, event: str, argument: Any) -> Any:
        return None if cleaning_up(frame.f_code.co_filename) is None else self._line

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line" and not is_cleaning_up(frame):
            self._left -= 1
            if self._left == 0:
                path = Path(frame.f_code.co_filename).relative_to(HOME)
                (self._prefix / "raised").write_text(f"{path}:{frame.f_lineno}")
                raise self._exception("raised on purpose")
        return self._line


class RaisingPlugin:
    prefix = Path()

    def __init__(self, config: dict[str, Any]) -> None:
        self._plugin = Plugin(config)

    def access(self, kong: Any) -> None:
        with Raising(self.prefix, "access"):
            self._plugin.access(kong)

    def response(self, kong: Any) -> None:
        with Raising(self.prefix, "response"):
            self._plugin.response(kong)


def main() -> int:
    RaisingPlugin.prefix = (parse(SPEC.name, SPEC.version, None).prefix or Path()).absolute()
    return serve(replace(SPEC, plugin=RaisingPlugin))


if __name__ == "__main__":
    sys.exit(main())
