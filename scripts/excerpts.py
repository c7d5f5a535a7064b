"""The reader and the guard of kong.yml in examples/: one text, wherever a route has the adapter.

In an example, what stands between `# kong.yml: NAME` and `# kong.yml: end` is taken from kong.yml, indented as the mark
is. NAME is `reader` or `guard` for the entry of a list of plugins, `reader config` or `guard config` for its
configuration alone.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PLUGINS = {"reader": "pre-function", "guard": "post-function"}

_MARK = re.compile(
    r"^(?P<indent> *)# kong\.yml: (?P<name>(?:reader|guard)(?: config)?)\n.*?^ *# kong\.yml: end\n",
    re.MULTILINE | re.DOTALL,
)


def outputs() -> Iterator[tuple[Path, str]]:
    """Every example that holds a piece of kong.yml, and its text with that piece renewed."""
    pieces = _pieces((ROOT / "kong.yml").read_text())
    for path in sorted(EXAMPLES.rglob("*.y*ml")):
        text = path.read_text()
        renewed = _MARK.sub(lambda match: _filled(match, pieces), text)
        if _MARK.search(text):
            yield path, renewed


def _filled(match: re.Match[str], pieces: dict[str, str]) -> str:
    indent, name = match["indent"], match["name"]
    body = textwrap.indent(pieces[name], indent)
    return f"{indent}# kong.yml: {name}\n{body}{indent}# kong.yml: end\n"


def _pieces(kong_yml: str) -> dict[str, str]:
    """The entries of reader and guard, with the comment above each, and their configurations without."""
    pieces = {}
    lines = kong_yml.splitlines(keepends=True)
    for name, plugin in PLUGINS.items():
        at = next(number for number, line in enumerate(lines) if line.strip() == f"- name: {plugin}")
        indent = lines[at].index("-")
        first = at
        while lines[first - 1].strip().startswith("#"):
            first -= 1
        end = at + 1
        while end < len(lines) and (not lines[end].strip() or lines[end].index(lines[end].strip()) > indent):
            end += 1
        entry = "".join(lines[at:end]).rstrip() + "\n"
        pieces[name] = textwrap.dedent("".join(lines[first:at]) + entry)
        pieces[f"{name} config"] = textwrap.dedent(entry.partition("config:\n")[2])
    return pieces
