"""Configuration schemas of Kong's bundled plugins that this gateway runs, as data (Kong 3.9)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from kong_declarative import lua_pattern, lua_value, typedefs
from kong_declarative.typedefs import HEADER_NAME, NO_CONSUMER, PLUGIN_PROTOCOLS, PLUGIN_PROTOCOLS_HTTP

VERSION = "3.9.1"

_PERIODS = ("second", "minute", "hour", "day", "month", "year")
_YES = {"type": "boolean", "required": True, "default": True}
_NO = {"type": "boolean", "required": True, "default": False}
_UNSET_NO = {"type": "boolean", "default": False}


def _config(*fields: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"config": {"type": "record", "fields": list(fields), **more}}


def _serverless(plugin: str) -> dict[str, Any]:
    """`pre-function` and `post-function`: Lua by phase."""

    def function_error(chunk: str) -> str | None:
        fault = lua_pattern.syntax_error(chunk)
        return f"error parsing {plugin}: {fault}" if fault else None

    functions = {
        "required": True,
        "default": [],
        "type": "array",
        "elements": {"type": "string", "custom_validator": function_error},
    }
    phases = ("certificate", "rewrite", "access", "header_filter", "body_filter", "log")
    return {
        "name": plugin,
        "fields": [
            {"consumer": NO_CONSUMER},
            {"protocols": PLUGIN_PROTOCOLS},
            _config(*({phase: functions} for phase in phases)),
        ],
        "entity_checks": [{"at_least_one_of": [f"config.{phase}" for phase in phases]}],
    }


def _periods_error(config: Mapping[str, Any]) -> str | None:
    limits: dict[str, Any] = {
        name: config[name] for name in _PERIODS if lua_value.is_number(config.get(name))
    }
    for (lower, low), (upper, high) in itertools.combinations(limits.items(), 2):
        if high < low:
            return f"The limit for {upper}({high:.1f}) cannot be lower than the limit for {lower}({low:.1f})"
    sync_rate: Any = config.get("sync_rate")
    if config.get("policy") != "redis":
        return None if sync_rate == -1 else "sync_rate can only be used with the redis policy"
    if lua_value.is_number(sync_rate) and sync_rate != -1 and sync_rate < 0.02:
        return "sync_rate must be greater than 0.02, or -1 to disable"
    return None


_REDIS = {
    "type": "record",
    "fields": [
        {"host": typedefs.HOST},
        {"port": {**typedefs.PORT, "default": 6379}},
        {"timeout": {**typedefs.TIMEOUT, "default": 2000}},
        {"username": {"type": "string", "referenceable": True}},
        {"password": {"type": "string", "encrypted": True, "referenceable": True, "len_min": 0}},
        {"database": {"type": "integer", "default": 0}},
        {"ssl": _UNSET_NO},
        {"ssl_verify": _UNSET_NO},
        {"server_name": typedefs.SNI},
    ],
}


def _redis_shorthand(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        f"redis_{name}": {
            "type": kind,
            "deprecation": {"replaced_with": ["redis", name]},
            "func": lambda value: {"redis": {name: value}},
            **more,
        }
    }


def _if(field: str, value: str, then_field: str) -> dict[str, Any]:
    return {
        "conditional": {
            "if_field": f"config.{field}",
            "if_match": {"eq": value},
            "then_field": f"config.{then_field}",
            "then_match": {"required": True},
        }
    }


RATE_LIMITING: dict[str, Any] = {
    "name": "rate-limiting",
    "fields": [
        {"protocols": PLUGIN_PROTOCOLS_HTTP},
        _config(
            *({period: {"type": "number", "gt": 0}} for period in _PERIODS),
            {
                "limit_by": {
                    "type": "string",
                    "default": "consumer",
                    "one_of": ["consumer", "credential", "ip", "service", "header", "path"],
                }
            },
            {"header_name": HEADER_NAME},
            {"path": typedefs.PATH},
            {"policy": {"type": "string", "default": "local", "len_min": 0, "one_of": ["local", "redis"]}},
            {"fault_tolerant": _YES},
            {"redis": _REDIS},
            {"hide_client_headers": _NO},
            {"error_code": {"type": "number", "default": 429, "gt": 0}},
            {"error_message": {"type": "string", "default": "API rate limit exceeded"}},
            {"sync_rate": {"type": "number", "required": True, "default": -1}},
            custom_validator=_periods_error,
            shorthand_fields=[
                _redis_shorthand("host", "string"),
                _redis_shorthand("port", "integer"),
                _redis_shorthand("password", "string", len_min=0),
                _redis_shorthand("username", "string"),
                _redis_shorthand("ssl", "boolean"),
                _redis_shorthand("ssl_verify", "boolean"),
                _redis_shorthand("server_name", "string"),
                _redis_shorthand("timeout", "integer"),
                _redis_shorthand("database", "integer"),
            ],
        ),
    ],
    "entity_checks": [
        {"at_least_one_of": [f"config.{period}" for period in _PERIODS]},
        _if("policy", "redis", "redis.host"),
        _if("policy", "redis", "redis.port"),
        _if("policy", "redis", "redis.timeout"),
        _if("limit_by", "header", "header_name"),
        _if("limit_by", "path", "path"),
    ],
}

KEY_AUTH: dict[str, Any] = {
    "name": "key-auth",
    "fields": [
        {"consumer": NO_CONSUMER},
        {"protocols": PLUGIN_PROTOCOLS_HTTP},
        _config(
            {
                "key_names": {
                    "type": "array",
                    "required": True,
                    "elements": HEADER_NAME,
                    "default": ["apikey"],
                }
            },
            {"hide_credentials": _NO},
            {"anonymous": {"type": "string"}},
            {"key_in_header": _YES},
            {"key_in_query": _YES},
            {"key_in_body": _NO},
            {"run_on_preflight": _YES},
            {"realm": {"type": "string"}},
        ),
    ],
}

_GROUPS = {"type": "array", "elements": {"type": "string"}}

ACL: dict[str, Any] = {
    "name": "acl",
    "fields": [
        {"consumer": NO_CONSUMER},
        {"protocols": PLUGIN_PROTOCOLS_HTTP},
        _config(
            {"allow": _GROUPS},
            {"deny": _GROUPS},
            {"hide_groups_header": _NO},
            {"always_use_authenticated_groups": _NO},
        ),
    ],
    "entity_checks": [
        {"only_one_of": ["config.allow", "config.deny"]},
        {"at_least_one_of": ["config.allow", "config.deny"]},
    ],
}

_ADDRESSES = {"type": "array", "elements": typedefs.IP_OR_CIDR}

IP_RESTRICTION: dict[str, Any] = {
    "name": "ip-restriction",
    "fields": [
        {"protocols": {**PLUGIN_PROTOCOLS, "default": ["http", "https", "tcp", "tls", "grpc", "grpcs"]}},
        _config(
            {"allow": _ADDRESSES},
            {"deny": _ADDRESSES},
            {"status": {"type": "number"}},
            {"message": {"type": "string"}},
        ),
    ],
    "entity_checks": [{"at_least_one_of": ["config.allow", "config.deny"]}],
}

REQUEST_SIZE_LIMITING: dict[str, Any] = {
    "name": "request-size-limiting",
    "fields": [
        {"protocols": PLUGIN_PROTOCOLS_HTTP},
        _config(
            {"allowed_payload_size": {"type": "integer", "default": 128}},
            {
                "size_unit": {
                    "type": "string",
                    "required": True,
                    "default": "megabytes",
                    "one_of": ["megabytes", "kilobytes", "bytes"],
                }
            },
            {"require_content_length": _NO},
        ),
    ],
}

CORRELATION_ID: dict[str, Any] = {
    "name": "correlation-id",
    "fields": [
        {"protocols": PLUGIN_PROTOCOLS_HTTP},
        _config(
            {"header_name": {"type": "string", "default": "Kong-Request-ID"}},
            {
                "generator": {
                    "type": "string",
                    "default": "uuid#counter",
                    "required": True,
                    "one_of": ["uuid", "uuid#counter", "tracker"],
                }
            },
            {"echo_downstream": _NO},
        ),
    ],
}

PROMETHEUS: dict[str, Any] = {
    "name": "prometheus",
    "fields": [
        {"protocols": PLUGIN_PROTOCOLS},
        _config(
            {"per_consumer": _UNSET_NO},
            {"status_code_metrics": _UNSET_NO},
            {"ai_metrics": _UNSET_NO},
            {"latency_metrics": _UNSET_NO},
            {"bandwidth_metrics": _UNSET_NO},
            {"upstream_health_metrics": _UNSET_NO},
        ),
    ],
}


def _lua_expression_error(chunk: str) -> str | None:
    fault = lua_pattern.syntax_error(chunk)
    return f"Error parsing function: {fault}" if fault else None


FILE_LOG: dict[str, Any] = {
    "name": "file-log",
    "fields": [
        {"protocols": PLUGIN_PROTOCOLS},
        _config(
            {
                "path": {
                    "type": "string",
                    "required": True,
                    "match": r"^[^*&%%\`]+$",
                    "err": "not a valid filename",
                }
            },
            {"reopen": _NO},
            {
                "custom_fields_by_lua": {
                    "type": "map",
                    "keys": {"type": "string", "len_min": 1},
                    "values": {"type": "string", "len_min": 1, "custom_validator": _lua_expression_error},
                }
            },
        ),
    ],
}


def _termination_error(config: Mapping[str, Any]) -> str | None:
    message, content_type, body = config.get("message"), config.get("content_type"), config.get("body")
    if message and (content_type or body):
        return "message cannot be used with content_type or body"
    if content_type and not body:
        return "content_type requires a body"
    if config.get("echo") and (content_type or body):
        return "echo cannot be used with content_type and body"
    return None


REQUEST_TERMINATION: dict[str, Any] = {
    "name": "request-termination",
    "fields": [
        {"protocols": PLUGIN_PROTOCOLS_HTTP},
        _config(
            {"status_code": {"type": "integer", "required": True, "default": 503, "between": [100, 599]}},
            {"message": {"type": "string"}},
            {"content_type": {"type": "string"}},
            {"body": {"type": "string"}},
            {"echo": _NO},
            {"trigger": HEADER_NAME},
            custom_validator=_termination_error,
        ),
    ],
}

# Priority and schema by name.
BUNDLED: dict[str, tuple[int, Mapping[str, Any]]] = {
    "acl": (950, ACL),
    "correlation-id": (100001, CORRELATION_ID),
    "file-log": (9, FILE_LOG),
    "ip-restriction": (990, IP_RESTRICTION),
    "key-auth": (1250, KEY_AUTH),
    "post-function": (-1000, _serverless("post-function")),
    "pre-function": (1000000, _serverless("pre-function")),
    "prometheus": (13, PROMETHEUS),
    "rate-limiting": (910, RATE_LIMITING),
    "request-size-limiting": (951, REQUEST_SIZE_LIMITING),
    "request-termination": (2, REQUEST_TERMINATION),
}

# What Kong brings along and this gateway does not run.
UNSUPPORTED = frozenset(
    [
        "acme",
        "ai-prompt-decorator",
        "ai-prompt-guard",
        "ai-prompt-template",
        "ai-proxy",
        "ai-request-transformer",
        "ai-response-transformer",
        "aws-lambda",
        "azure-functions",
        "basic-auth",
        "bot-detection",
        "cors",
        "datadog",
        "grpc-gateway",
        "grpc-web",
        "hmac-auth",
        "http-log",
        "jwt",
        "ldap-auth",
        "loggly",
        "oauth2",
        "opentelemetry",
        "proxy-cache",
        "redirect",
        "request-transformer",
        "response-ratelimiting",
        "response-transformer",
        "session",
        "standard-webhooks",
        "statsd",
        "syslog",
        "tcp-log",
        "udp-log",
        "zipkin",
    ]
)
