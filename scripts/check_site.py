"""Says what a built site would load from elsewhere: fonts, scripts, style sheets, pictures.

python scripts/check_site.py site
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

# What a reader clicks on may lead anywhere.
_LOADING_LINKS = {"stylesheet", "preload", "prefetch", "preconnect", "dns-prefetch", "icon", "manifest"}
_IN_STYLES = re.compile(r"""(?:url\(|@import)\s*['"]?(https?:)?//[^)'"]+""")


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        address = attributes.get("src")
        if tag == "link" and _LOADING_LINKS & set((attributes.get("rel") or "").split()):
            address = attributes.get("href")
        if address and re.match(r"(https?:)?//", address):
            self.addresses.append(address)


def loads(site: Path) -> list[str]:
    """`file: address` of everything that a browser would fetch from another host."""
    found = []
    for page in sorted(site.rglob("*.html")):
        parser = _Loads()
        parser.feed(page.read_text(encoding="utf-8"))
        found += [f"{page.relative_to(site)}: {address}" for address in parser.addresses]
    for style in sorted(site.rglob("*.css")):
        found += [
            f"{style.relative_to(site)}: {m[0]}"
            for m in _IN_STYLES.finditer(style.read_text(encoding="utf-8"))
        ]
    return found


def main() -> int:
    found = loads(Path(sys.argv[1]))
    for line in found:
        print(f"loaded from elsewhere: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
