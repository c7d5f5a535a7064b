"""What Kong's entities look like: services, routes, consumers, their credentials, plugins.

The fields are Kong 3.9's, in Kong's order. Those that this gateway cannot honour accept nothing but null and say so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kong_declarative import certificate, route_regex, typedefs
from kong_declarative.typedefs import NAME, NOT_SUPPORTED, TAGS, TIMESTAMP, UUID

_DEFAULT_PORTS = {"http": 80, "https": 443}
_UNSUPPORTED_FIELD = {"type": "any", "custom_validator": typedefs.not_supported}


def _http_only(protocol: str) -> str | None:
    return None if protocol in ("http", "https") else f"'{protocol}' is {NOT_SUPPORTED}"


_HTTP_PROTOCOL = {**typedefs.PROTOCOL, "custom_validator": _http_only}


def parse_url(url: str) -> dict[str, Any]:
    """A service's `url` shorthand as the four fields that it stands for."""
    parts = re.fullmatch(
        r"(?:(?P<scheme>[A-Za-z0-9][A-Za-z0-9+.-]*):)?(?://(?P<authority>[^/?#]*))?(?P<path>[^?#;]*).*",
        url,
        re.DOTALL,
    )
    assert parts is not None
    authority = (parts["authority"] or "").rpartition("@")[2]
    split = re.fullmatch(r"(.*?)(?::([^:\]]*))?", authority)
    assert split is not None
    host = split[1].strip("[]") if split[1].startswith("[") else split[1]
    port: int | str | None = int(split[2]) if (split[2] or "").isdigit() else split[2]
    protocol = parts["scheme"] or {80: "http", 443: "https"}.get(port if isinstance(port, int) else 0, "http")
    return {
        "protocol": protocol,
        "host": host or None,
        "port": _DEFAULT_PORTS.get(protocol, 80) if port is None else port,
        "path": parts["path"] or None,
    }


def _unless_tls(field: str) -> dict[str, Any]:
    return {
        "conditional": {
            "if_field": "protocol",
            "if_match": {"not_one_of": ["https", "tls"]},
            "then_field": field,
            "then_match": {"eq": None},
        }
    }


SERVICE: dict[str, Any] = {
    "name": "services",
    "fields": [
        {"id": UUID},
        {"created_at": TIMESTAMP},
        {"updated_at": TIMESTAMP},
        {"name": NAME},
        {"retries": {"type": "integer", "default": 5, "between": [0, 32767]}},
        {"protocol": {**_HTTP_PROTOCOL, "required": True, "default": "http"}},
        {"host": {**typedefs.HOST, "required": True}},
        {"port": {**typedefs.PORT, "required": True, "default": 80}},
        {"path": typedefs.PATH},
        {"connect_timeout": {**typedefs.NONZERO_TIMEOUT, "default": 60000}},
        {"write_timeout": {**typedefs.NONZERO_TIMEOUT, "default": 60000}},
        {"read_timeout": {**typedefs.NONZERO_TIMEOUT, "default": 60000}},
        {"tags": TAGS},
        {"client_certificate": _UNSUPPORTED_FIELD},
        {"tls_verify": {"type": "boolean"}},
        {"tls_verify_depth": {"type": "integer", "default": None, "between": [0, 64]}},
        {"ca_certificates": _UNSUPPORTED_FIELD},
        {"enabled": {"type": "boolean", "required": True, "default": True}},
    ],
    "entity_checks": [_unless_tls("tls_verify"), _unless_tls("tls_verify_depth")],
    "shorthand_fields": [{"url": {"type": "string", "func": parse_url}}],
}


def _router_error(route: Mapping[str, Any]) -> str | None:
    paths = [path[1:] for path in route.get("paths") or () if path.startswith("~")]
    headers = [value for values in (route.get("headers") or {}).values() for value in values]
    # The router compares headers in lower case, and does not spare their expressions.
    for pattern in (*paths, *(value[2:].lower() for value in headers if value.startswith("~*"))):
        fault = route_regex.fault(pattern)
        if fault is not None:
            return f"Router Expression failed validation: regex parse error: {pattern}: {fault}"
    return None


_HOST_HEADER = "cannot contain 'host' header, which must be specified in the 'hosts' attribute"

ROUTE: dict[str, Any] = {
    "name": "routes",
    "subschema_key": "protocols",
    "fields": [
        {"id": UUID},
        {"created_at": TIMESTAMP},
        {"updated_at": TIMESTAMP},
        {"name": NAME},
        {
            "protocols": {
                "type": "set",
                "len_min": 1,
                "required": True,
                "elements": _HTTP_PROTOCOL,
                "mutually_exclusive_subsets": [
                    ["http", "https"],
                    ["tcp", "tls", "udp"],
                    ["tls_passthrough"],
                    ["grpc", "grpcs"],
                ],
                "default": ["http", "https"],
            }
        },
        {
            "https_redirect_status_code": {
                "type": "integer",
                "one_of": [426, 301, 302, 307, 308],
                "default": 426,
                "required": True,
            }
        },
        {"strip_path": {"type": "boolean", "required": True, "default": True}},
        {"preserve_host": {"type": "boolean", "required": True, "default": False}},
        {"request_buffering": {"type": "boolean", "required": True, "default": True}},
        {"response_buffering": {"type": "boolean", "required": True, "default": True}},
        {"tags": TAGS},
        {"service": {"type": "foreign", "reference": "services"}},
        {"snis": _UNSUPPORTED_FIELD},
        {"sources": _UNSUPPORTED_FIELD},
        {"destinations": _UNSUPPORTED_FIELD},
        {"methods": {"type": "set", "elements": {"type": "string", "match": "^%u+$"}}},
        {
            "hosts": {
                "type": "array",
                "elements": {
                    "type": "string",
                    "match_all": [
                        {
                            "pattern": "^[^*]*%*?[^*]*$",
                            "err": "invalid wildcard: must have at most one wildcard",
                        }
                    ],
                    "match_any": {
                        "patterns": ["^%*%.", "%.%*$", "^[^*]*$"],
                        "err": "invalid wildcard: must be placed at leftmost or rightmost label",
                    },
                    "custom_validator": typedefs.host_or_wildcard_error,
                },
            }
        },
        {
            "paths": {
                "type": "array",
                "elements": {
                    "type": "string",
                    "match_any": {
                        "patterns": ["^/", "^~/"],
                        "err": "should start with: / (fixed path) or ~/ (regex path)",
                    },
                    "match_none": [{"pattern": "//", "err": "must not have empty segments"}],
                    "custom_validator": typedefs.router_path_error,
                },
            }
        },
        {
            "headers": {
                "type": "map",
                "keys": {
                    **typedefs.HEADER_NAME,
                    "match_none": [{"pattern": "^[Hh][Oo][Ss][Tt]$", "err": _HOST_HEADER}],
                },
                "values": {"type": "array", "elements": {"type": "string"}},
            }
        },
        {"regex_priority": {"type": "integer", "default": 0}},
        {"path_handling": {"type": "string", "default": "v0", "one_of": ["v0", "v1"]}},
    ],
    "entity_checks": [{"custom_entity_check": {"field_sources": ["paths", "headers"], "fn": _router_error}}],
}

_MATCHERS = ["methods", "hosts", "headers", "paths"]

# By protocol; routes of any other are refused by the field itself.
ROUTE_BY_PROTOCOL: dict[str, Any] = {
    "name": "http",
    "fields": [],
    "entity_checks": [
        {
            "conditional_at_least_one_of": {
                "if_field": "protocols",
                "if_match": {"contains": "https"},
                "then_at_least_one_of": [*_MATCHERS, "snis"],
                "then_err": "must set one of %s when 'protocols' is 'https'",
                "else_match": {"contains": "http"},
                "else_then_at_least_one_of": _MATCHERS,
                "else_then_err": "must set one of %s when 'protocols' is 'http'",
            }
        }
    ],
}

CONSUMER: dict[str, Any] = {
    "name": "consumers",
    "fields": [
        {"id": UUID},
        {"created_at": TIMESTAMP},
        {"updated_at": TIMESTAMP},
        {"username": {"type": "string", "unique": True}},
        {"custom_id": {"type": "string", "unique": True}},
        {"tags": TAGS},
    ],
    "entity_checks": [{"at_least_one_of": ["custom_id", "username"]}],
}

_OWNER = {"type": "foreign", "reference": "consumers", "required": True}

KEY_AUTH_CREDENTIAL: dict[str, Any] = {
    "name": "keyauth_credentials",
    "ttl": True,
    "fields": [
        {"id": UUID},
        {"created_at": TIMESTAMP},
        {"consumer": _OWNER},
        {"key": {"type": "string", "unique": True, "auto": True}},
        {"tags": TAGS},
    ],
}

ACL: dict[str, Any] = {
    "name": "acls",
    "fields": [
        {"id": UUID},
        {"created_at": TIMESTAMP},
        {"consumer": _OWNER},
        {"group": {"type": "string", "required": True}},
        {"tags": TAGS},
    ],
}

_PEM = {"type": "string", "required": True, "referenceable": True}

CERTIFICATE: dict[str, Any] = {
    "name": "certificates",
    "fields": [
        {"id": UUID},
        {"created_at": TIMESTAMP},
        {"updated_at": TIMESTAMP},
        {"cert": _PEM},
        {"key": _PEM},
        {"cert_alt": {"type": "string", "referenceable": True}},
        {"key_alt": {"type": "string", "referenceable": True}},
        {"tags": TAGS},
    ],
    "entity_checks": [
        {"custom_entity_check": {"field_sources": ["cert", "key"], "fn": certificate.pair_error}}
    ],
}

SNI: dict[str, Any] = {
    "name": "snis",
    "fields": [
        {"id": UUID},
        {"name": {"type": "string", "required": True, "unique": True}},
        {"created_at": TIMESTAMP},
        {"updated_at": TIMESTAMP},
        {"tags": TAGS},
        {"certificate": {"type": "foreign", "reference": "certificates", "required": True}},
    ],
}

PLUGIN: dict[str, Any] = {
    "name": "plugins",
    "subschema_key": "name",
    "subschema_error": "plugin '%s' not enabled; add it to the 'plugins' configuration property",
    "fields": [
        {"id": UUID},
        {"name": {"type": "string", "required": True}},
        {"instance_name": NAME},
        {"created_at": TIMESTAMP},
        {"updated_at": TIMESTAMP},
        {"route": {"type": "foreign", "reference": "routes", "default": None}},
        {"service": {"type": "foreign", "reference": "services", "default": None}},
        {"consumer": {"type": "foreign", "reference": "consumers", "default": None}},
        {"config": {"type": "record", "abstract": True}},
        {"protocols": typedefs.PLUGIN_PROTOCOLS},
        {"enabled": {"type": "boolean", "required": True, "default": True}},
        {"tags": TAGS},
    ],
}


@dataclass(frozen=True)
class Kind:
    """A kind of entity: how it is named in files and paths, found, and told apart."""

    name: str
    definition: Mapping[str, Any]
    endpoint_key: str | None  # the field that stands for the id in references and paths
    cache_key: tuple[
        str, ...
    ] = ()  # the fields that make up a declared entity's id, where it is not the former
    path: str | None = None  # of the Admin API, where it is not `name`
    nested_path: str | None = None  # below a consumer
    plugin: str | None = None  # the plugin that brings this kind along
    unique_together: bool = False  # no two entities with the same `cache_key`

    @cached_property
    def foreign(self) -> dict[str, str]:
        """Kinds of other entities by the field that refers to one."""
        return {
            name: field["reference"]
            for entry in self.definition["fields"]
            for name, field in entry.items()
            if field["type"] == "foreign"
        }


KINDS = {
    kind.name: kind
    for kind in (
        Kind("services", SERVICE, "name"),
        Kind("routes", ROUTE, "name"),
        Kind("consumers", CONSUMER, "username"),
        Kind(
            "plugins",
            PLUGIN,
            "instance_name",
            cache_key=("name", "route", "service", "consumer"),
            unique_together=True,
        ),
        Kind(
            "keyauth_credentials",
            KEY_AUTH_CREDENTIAL,
            "key",
            cache_key=("key",),
            path="key-auths",
            nested_path="key-auth",
            plugin="key-auth",
        ),
        Kind("certificates", CERTIFICATE, None),
        Kind("snis", SNI, "name"),
        Kind("acls", ACL, None, cache_key=("consumer", "group"), plugin="acl", unique_together=True),
    )
}

# Kinds that Kong knows and this gateway has no use for.
UNSUPPORTED_KINDS = (
    "acme_storage",
    "basicauth_credentials",
    "ca_certificates",
    "clustering_data_planes",
    "filter_chains",
    "hmacauth_credentials",
    "jwt_secrets",
    "key_sets",
    "keys",
    "oauth2_authorization_codes",
    "oauth2_credentials",
    "oauth2_tokens",
    "parameters",
    "sessions",
    "targets",
    "upstreams",
    "vaults",
    "workspaces",
)
