"""The kinds of field that Kong's schemas share: names, hosts, paths, times, tags."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from kong_declarative import route_regex
from kong_declarative.request_path import normalise, octets

PROTOCOLS = ["grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp"]
HTTP_PROTOCOLS = ["grpc", "grpcs", "http", "https"]
NOT_SUPPORTED = "not supported by the embedded gateway"

# Kong's largest time-out, 2^31 - 2 ms.
LONGEST = 2**31 - 2


def not_supported(value: Any) -> str:
    return NOT_SUPPORTED


def host_error(host: str) -> str | None:
    found, port = _split_host(host)
    if port == "invalid" and found is not None:
        return "must not have a port"
    if found is None:
        return f"invalid value: {host}"
    return "must not have a port" if port is not None else None


def host_or_wildcard_error(host: str) -> str | None:
    found, port = _split_host(host.replace("*", "abc"))
    if port == "invalid":
        return "invalid port number"
    if found is None:
        return f"invalid hostname: {host.replace('*', 'abc')}"
    return None


def sni_error(host: str) -> str | None:
    if _is_ip(host):
        return "must not be an IP"
    return host_error(host)


def upstream_error(name: str) -> str | None:
    found, port = _split_host(name)
    if found is None or port is not None or _is_ip(found):
        return f"Invalid name ('{name}'); must be a valid hostname"
    return None


def target_error(target: str) -> str | None:
    found, port = _split_host(target)
    if found is None or port == "invalid":
        return f"Invalid target ('{target}'); not a valid hostname or ip address"
    return None


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _split_host(address: str) -> tuple[str | None, str | None]:
    """A host and the port behind it; (None, …) for neither a name nor an address, port "invalid" above 65535."""
    if address.count(":") > 1:
        bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d+))?", address)
        name, port = bracketed.groups() if bracketed else (address, None)
        return (name if _is_ip(name) else None), _port(port)
    name, colon, port = address.partition(":")
    if re.fullmatch(r"[\d.]+", name):
        return (name if _is_ip(name) else None), _port(port if colon else None)
    if colon and not port.isdigit():
        return None, None
    valid = re.fullmatch(r"[A-Za-z0-9\-._]+", name) and not name.startswith(".")
    segments = name.removesuffix(".").split(".")
    if not valid or any(not segment or segment.endswith("-") for segment in segments):
        return None, None
    return name, _port(port if colon else None)


def _port(text: str | None) -> str | None:
    if text is None:
        return None
    return text if text.isdigit() and int(text) <= 65535 else "invalid"


_PATH = re.compile(r"/[A-Za-z0-9.\-_~/%:@!$&'()*+,;=]*")


def path_error(path: str) -> str | None:
    if not _PATH.fullmatch(path):
        return f"invalid path: '{path}' (characters outside of the reserved list of RFC 3986 found)"
    return _percent_error(path)


def _percent_error(path: str) -> str | None:
    rest = re.sub(r"%[0-9A-Fa-f]{2}", "___", path)
    bad = re.search(r"%.?.?", rest, re.DOTALL)
    return f"invalid url-encoded value: '{bad[0]}'" if bad else None


def router_path_error(path: str) -> str | None:
    if path.startswith("~"):
        fault = route_regex.pcre_error(path[1:])
        return f"invalid regex: '{path[1:]}' (PCRE returned: {fault})" if fault else None
    fault = _percent_error(path) if _PATH.fullmatch(path) else None
    if fault:
        return fault
    normal = normalise(octets(path)).encode("latin-1").decode("utf-8", "replace")
    return None if path == normal else f"non-normalized path, consider use '{normal}' instead"


def name_error(name: str) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9.\-_~\u0080-\U0010ffff]+", name):
        return None
    return f"invalid value '{name}': the only accepted ascii characters are alphanumerics or ., -, _, and ~"


def tag_error(tag: str) -> str | None:
    if re.fullmatch(r"[ \x21-\x2b\x2d\x2e\x30-\x7e\u0080-\U0010ffff]+", tag):
        return None
    return f"invalid tag '{tag}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"


def header_name_error(name: str) -> str | None:
    if re.fullmatch(r"[a-zA-Z0-9\-_]+", name):
        return None
    return f"bad header name '{name}', allowed characters are A-Z, a-z, 0-9, '_', and '-'"


def ip_or_cidr_error(text: str) -> str | None:
    address, slash, prefix = text.partition("/")
    try:
        size: int = ipaddress.ip_address(address).max_prefixlen
    except ValueError:
        size = -1
    if size > 0 and (not slash or (re.fullmatch(r"0|[1-9]\d*", prefix) and int(prefix) <= size)):
        return None
    return f"invalid ip or cidr range: '{text}'"


UUID = {"type": "string", "uuid": True, "auto": True}
TIMESTAMP = {"type": "integer", "timestamp": True, "auto": True}
NAME = {"type": "string", "unique": True, "custom_validator": name_error}
TAGS = {"type": "set", "elements": {"type": "string", "custom_validator": tag_error}}
HOST = {"type": "string", "custom_validator": host_error}
SNI = {"type": "string", "custom_validator": sni_error}
PORT = {"type": "integer", "between": [0, 65535]}
PATH = {
    "type": "string",
    "starts_with": "/",
    "match_none": [{"pattern": "//", "err": "must not have empty segments"}],
    "custom_validator": path_error,
}
PROTOCOL = {"type": "string", "one_of": PROTOCOLS}
HEADER_NAME = {"type": "string", "custom_validator": header_name_error}
IP_OR_CIDR = {"type": "string", "custom_validator": ip_or_cidr_error}
TIMEOUT = {"type": "integer", "between": [0, LONGEST]}
NONZERO_TIMEOUT = {"type": "integer", "between": [1, LONGEST]}

PLUGIN_PROTOCOLS = {"type": "set", "required": True, "default": HTTP_PROTOCOLS, "elements": PROTOCOL}
PLUGIN_PROTOCOLS_HTTP = {
    "type": "set",
    "required": True,
    "default": HTTP_PROTOCOLS,
    "elements": {"type": "string", "one_of": HTTP_PROTOCOLS},
}
NO_CONSUMER = {"type": "foreign", "reference": "consumers", "eq": None}
