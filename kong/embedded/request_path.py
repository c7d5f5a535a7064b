"""Kong's normal form of a request path: what routes are matched against and what `kong.request.get_path` gives."""

from __future__ import annotations


def normalise(path: str, merge_slashes: bool = True) -> str:
    """RFC 3986, 6.2.2: percent-encoding in upper case, unreserved characters decoded, `.` and `..` removed."""
    raise NotImplementedError
