"""Kong's normal form of a request path: routes are matched against it, and `kong.request.get_path` gives it.

Paths are byte strings, as in Lua: `str` with one character a byte (Latin-1). `octets` makes one of text.
"""

from __future__ import annotations

import re

# Percent-encoded forms of these stay: decoding would change what the path means.
_RESERVED = frozenset("!*'();:@&=+$,/?%#[]")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNSAFE = re.compile(r"[^!#$&'()*+,/:;=?@\[\]A-Za-z0-9\-_.~%]")


def normalise(path: str, merge_slashes: bool = True) -> str:
    """Percent-encoding decoded except for reserved characters, `.` and `..` removed (RFC 3986, 6.2.2)."""
    if path in ("", "/"):
        return path
    if "%" in path:
        path = _decoded(path)
    if "." in path or (merge_slashes and "//" in path):
        path = _without_dots(path, merge_slashes)
    return path


def escape(path: str) -> str:
    """A normal path as it goes upstream: what must not stand in a request line is percent-encoded."""
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", path)


def octets(text: str) -> str:
    """The UTF-8 bytes of a text as a byte string."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def text(path: str) -> str:
    """The text of a byte string in UTF-8. Raises UnicodeDecodeError."""
    return path.encode("latin-1").decode("utf-8")


def without_query(target: str) -> str:
    """A request target up to its `?`; the first character is never one."""
    mark = target.find("?", 1)
    return target if mark < 0 else target[:mark]


def _decoded(path: str) -> str:
    def decode(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        return found[0].upper() if character in _RESERVED else character

    return _ENCODED.sub(decode, path)


def _without_dots(path: str, merge_slashes: bool) -> str:
    kept: list[str] = []
    while path:
        if path in ("/.", "/.."):
            if path == "/.." and kept:
                kept.pop()
            path = "/"
        elif path in (".", ".."):
            path = ""
        elif path.startswith("../"):
            path = path[3:]
        elif path.startswith(("./", "/./")):
            path = path[2:]
        elif path.startswith("/../"):
            path = path[3:]
            if kept:
                kept.pop()
        elif merge_slashes and path.startswith("//"):
            path = path[1:]
        else:
            end = path.find("/", 1)
            kept.append(path if end < 0 else path[:end])
            path = "" if end < 0 else path[end:]
    return "".join(kept)
