"""The head of a request, read as strictly and as leniently as nginx reads it."""

from __future__ import annotations

import re

from kong.embedded.http.exchange import Exchange

BUFFER = 8192  # large_client_header_buffers 4 8k: a line must fit into one
FIRST_BUFFER = 1024
BUFFERS = 4

_METHOD = re.compile(r"[A-Z_-]+")
_REQUEST_LINE = re.compile(r"([A-Z_-]+) +(\S[^ ]*)(?: +HTTP/(\d)\.(\d{1,3}))? *")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_BAD_NAME = re.compile(r"[\x00-\x20\x7f]")
_ABSOLUTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://([^/?]*)([/?].*)?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_HOST = re.compile(r"[^\x00-\x20/\x7f]+")

# nginx answers 400 to a second line of these.
_UNIQUE = frozenset(
    (
        "authorization",
        "content-length",
        "content-range",
        "expect",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "transfer-encoding",
    )
)


def read(exchange: Exchange, head: str) -> int:
    """Fill the exchange from a complete head (without the empty line).

    Returns 0, or the status with which nginx refuses the request; what comes before the fault is filled in then.
    """
    line, _, rest = head.partition("\n")
    status = _request_line(exchange, line[:-1] if line.endswith("\r") else line)
    if status:
        return status
    size = len(line)
    for raw in rest.split("\n") if rest else ():
        if raw.endswith("\r"):
            raw = raw[:-1]
        size += len(raw) + 2
        if len(raw) + 2 > BUFFER or size > FIRST_BUFFER + BUFFERS * BUFFER:
            return 494
        status = _header_line(exchange, raw)
        if status:
            return status
    return _whole(exchange)


def _request_line(exchange: Exchange, line: str) -> int:
    exchange.request_line = line
    if len(line) + 2 > BUFFER:
        return 414
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        method = _METHOD.match(line)
        exchange.method = method[0] if method else ""
        return 400
    exchange.method = match[1]
    target = match[2]
    if match[3] is None:
        exchange.http_version = 0.9
        if exchange.method != "GET":
            return 400
    elif match[3] != "1":
        return 505 if match[3] not in ("0", "1") else 400
    else:
        exchange.http_version = {0: 1.0, 1: 1.1}.get(int(match[4]), 1.9)
    if exchange.http_version < 1.1:
        exchange.keepalive = False
    if not target.startswith("/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            return 405 if exchange.method == "CONNECT" else 400
        exchange.host = absolute[1]
        target = absolute[2] or "/"
        if target.startswith("?"):
            target = "/" + target
    if any(character < "\x20" or character == "\x7f" for character in target):
        return 400
    exchange.request_uri = target
    path, mark, query = target.partition("#")[0].partition("?")
    exchange.args = query if mark else None
    if "%" in path and _BAD_ESCAPE.search(path):
        return 400
    return 400 if "/.." in path and _climbs(path) else 0


def _climbs(path: str) -> bool:
    """Whether the path leaves the root."""
    depth = 0
    for segment in path.split("/")[1:]:
        if segment == "..":
            depth -= 1
            if depth < 0:
                return True
        elif segment not in ("", "."):
            depth += 1
    return False


def _header_line(exchange: Exchange, line: str) -> int:
    name, _, value = line.partition(":")
    if "\0" in value or "\r" in value:
        return 400
    if not _NAME.fullmatch(name):  # nginx ignores odd names, but not those with a space
        return 400 if not name or _BAD_NAME.search(name) else 0
    lower = name.lower()
    if lower in _UNIQUE and lower in exchange.request:
        return 400
    value = value.strip(" ")
    exchange.request.add(name, value)
    if lower == "host":
        return _host(exchange, value)
    return 0


def _host(exchange: Exchange, value: str) -> int:
    if value and (".." in value or not _HOST.fullmatch(value)):
        return 400
    if not exchange.host:
        exchange.host = _host_name(value)
    return 0


def _host_name(value: str) -> str:
    """`$host`: lower case, without port and without the dot at the end."""
    value = value.lower()
    if value.startswith("["):
        end = value.find("]")
        return value[: end + 1]
    return value.partition(":")[0].rstrip(".")


def _whole(exchange: Exchange) -> int:
    """The checks that need every line."""
    request = exchange.request
    connection = ",".join(request.get_all("connection")).lower()
    if "close" in connection:
        exchange.keepalive = False
    elif exchange.http_version == 1.0 and "keep-alive" in connection:
        exchange.keepalive = True
    if not exchange.host:
        if exchange.http_version >= 1.1:
            return 400
        exchange.host = "kong"
    elif exchange.http_version >= 1.1 and "host" not in request:
        return 400
    else:
        exchange.host = _host_name(exchange.host)
    coding = request.get("transfer-encoding")
    length = request.get("content-length")
    if length is not None:
        if not length.isdigit() or not length.isascii() or int(length) > 2**63 - 1:
            return 400
        exchange.body_length = int(length)
    if coding is not None:
        if exchange.http_version < 1.1:
            return 400
        if coding.lower() != "chunked":
            return 501
        if length is not None:
            return 400
        exchange.chunked = True
    if exchange.method in ("CONNECT", "TRACE"):
        return 405
    limit = exchange.worker.settings.client_max_body_size
    if limit and exchange.body_length is not None and exchange.body_length > limit:
        return 413
    return 0
