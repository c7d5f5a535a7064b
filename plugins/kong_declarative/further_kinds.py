"""Entities and fields of Kong 3.9 that the embedded gateway cannot honour, for those that only judge a file.

Field types, references and requirements are Kong's; what Kong checks beyond them (that a certificate matches its key)
is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kong_declarative import typedefs
from kong_declarative.core_schemas import KINDS, UNSUPPORTED_KINDS, Kind
from kong_declarative.typedefs import TAGS, TIMESTAMP, UUID

_META: list[dict[str, Any]] = [
    {"id": UUID},
    {"created_at": TIMESTAMP},
    {"updated_at": TIMESTAMP},
    {"tags": TAGS},
]
_TEXT = {"type": "string"}
_REQUIRED_TEXT = {"type": "string", "required": True}
_OWNER = {"type": "foreign", "reference": "consumers", "required": True}
_ANYTHING = {"type": "any"}
_HASH_ON = {
    "type": "string",
    "default": "none",
    "one_of": ["none", "consumer", "ip", "header", "cookie", "path", "query_arg", "uri_capture"],
}


def _kind(name: str, endpoint_key: str | None, *fields: dict[str, Any], **more: Any) -> Kind:
    return Kind(name, {"name": name, "fields": [*_META, *fields]}, endpoint_key, **more)


_KINDS = (
    _kind("ca_certificates", None, {"cert": _REQUIRED_TEXT}, {"cert_digest": _TEXT}),
    _kind(
        "upstreams",
        "name",
        {
            "name": {
                "type": "string",
                "required": True,
                "unique": True,
                "custom_validator": typedefs.upstream_error,
            }
        },
        {
            "algorithm": {
                "type": "string",
                "default": "round-robin",
                "one_of": ["consistent-hashing", "least-connections", "round-robin", "latency"],
            }
        },
        {"hash_on": _HASH_ON},
        {"hash_fallback": _HASH_ON},
        *(
            {name: _TEXT}
            for name in (
                "hash_on_header",
                "hash_fallback_header",
                "hash_on_cookie",
                "hash_on_cookie_path",
                "hash_on_query_arg",
                "hash_fallback_query_arg",
                "hash_on_uri_capture",
                "hash_fallback_uri_capture",
                "host_header",
            )
        ),
        {"slots": {"type": "integer", "default": 10000, "between": [10, 65536]}},
        {"healthchecks": {"type": "record", "required": False}},
        {"client_certificate": {"type": "foreign", "reference": "certificates"}},
        {"use_srv_name": {"type": "boolean", "default": False}},
    ),
    _kind(
        "targets",
        None,
        {"upstream": {"type": "foreign", "reference": "upstreams", "required": True}},
        {"target": {**_REQUIRED_TEXT, "custom_validator": typedefs.target_error}},
        {"weight": {"type": "integer", "default": 100, "between": [0, 65535]}},
        cache_key=("upstream", "target"),
    ),
    _kind(
        "vaults",
        "prefix",
        {
            "prefix": {
                "type": "string",
                "required": True,
                "unique": True,
                "match": "^[a-z][a-z%d-]-[a-z%d]+$",
                "not_one_of": ["env"],
            }
        },
        {"name": {**_REQUIRED_TEXT, "custom_validator": lambda name: _vault_error(name)}},
        {"description": _TEXT},
        {
            "config": {
                "type": "record",
                "fields": [{"prefix": {"type": "string", "match": "^[%a_-][%a%d_-]*$"}}],
            }
        },
    ),
    _kind(
        "jwt_secrets",
        "key",
        {"consumer": _OWNER},
        {"key": {"type": "string", "unique": True}},
        {"secret": _TEXT},
        {"rsa_public_key": _TEXT},
        {"algorithm": _TEXT},
    ),
    _kind(
        "basicauth_credentials",
        "username",
        {"consumer": _OWNER},
        {"username": {"type": "string", "required": True, "unique": True}},
        {"password": _REQUIRED_TEXT},
    ),
    _kind(
        "hmacauth_credentials",
        "username",
        {"consumer": _OWNER},
        {"username": {"type": "string", "required": True, "unique": True}},
        {"secret": _TEXT},
    ),
    _kind(
        "oauth2_credentials",
        "client_id",
        {"consumer": _OWNER},
        {"name": _REQUIRED_TEXT},
        {"client_id": {"type": "string", "unique": True}},
        {"client_secret": _TEXT},
        {"hash_secret": {"type": "boolean", "default": False}},
        {"redirect_uris": {"type": "array", "elements": {"type": "string"}}},
        {"client_type": {"type": "string", "default": "confidential", "one_of": ["confidential", "public"]}},
    ),
)

_ADDRESSES = {
    "type": "set",
    "elements": {
        "type": "record",
        "fields": [{"ip": typedefs.IP_OR_CIDR}, {"port": typedefs.PORT}],
        "entity_checks": [{"at_least_one_of": ["ip", "port"]}],
    },
}
_FIELDS: dict[str, dict[str, Any]] = {
    "services": {
        "protocol": {**typedefs.PROTOCOL, "required": True, "default": "http"},
        "client_certificate": {"type": "foreign", "reference": "certificates"},
        "ca_certificates": {"type": "array", "elements": {"type": "string", "uuid": True}},
    },
    "routes": {
        "snis": {"type": "set", "elements": {"type": "string"}},
        "sources": _ADDRESSES,
        "destinations": _ADDRESSES,
    },
}


def _vault_error(name: str) -> str | None:
    return None if name == "env" else f"vault '{name}' is not installed"


def _snis_error(route: Mapping[str, Any]) -> str | None:
    if not route.get("snis") or {"https", "tls", "grpcs", "tls_passthrough"} & set(
        route.get("protocols") or ()
    ):
        return None
    return "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'"


def _completed(kind: Kind) -> Kind:
    fields = [
        {
            name: _protocols(field)
            if (kind.name, name) == ("routes", "protocols")
            else _FIELDS.get(kind.name, {}).get(name, field)
        }
        for entry in kind.definition["fields"]
        for name, field in entry.items()
    ]
    checks = [*kind.definition.get("entity_checks", ())]
    if kind.name == "routes":
        checks.append({"custom_entity_check": {"field_sources": ["snis", "protocols"], "fn": _snis_error}})
    return replace(kind, definition={**kind.definition, "fields": fields, "entity_checks": checks})


def _protocols(field: dict[str, Any]) -> dict[str, Any]:
    return {**field, "elements": typedefs.PROTOCOL}


ALL_KINDS: dict[str, Kind] = {
    **{name: _completed(kind) for name, kind in KINDS.items()},
    **{kind.name: kind for kind in _KINDS},
}
"""Every kind that is described, the embedded gateway's own among them."""

UNJUDGED_KINDS = tuple(name for name in UNSUPPORTED_KINDS if name not in ALL_KINDS)
"""Kinds that are known by name alone."""

# What a route of another protocol than HTTP must have is not judged.
ROUTE_BY_OTHER_PROTOCOL: dict[str, Any] = {"name": "other", "fields": []}
