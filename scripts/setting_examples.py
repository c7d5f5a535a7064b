"""docs/settings.md: each setting as kong.yml, Admin API, decK and Kubernetes manifest, in tabs.

One source, `EXAMPLES`, makes the four; a test reads them back from the page, and has Kong's schema check each.
"""

from __future__ import annotations

import io
import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

PLUGIN = "yeastar-adapter"
ADMIN_API = "http://127.0.0.1:8101"
DIGEST = "sha256:" + "0123456789abcdef" * 4
CURL = "curl --silent --show-error --fail-with-body"


@dataclass(frozen=True)
class Example:
    """One setting, or some that belong together. `config` is what is said of it, and no more.

    With `consumer` it is of that entry of `config.consumers`.
    """

    title: str
    words: str
    config: Mapping[str, Any]
    consumer: str | None = None

    @property
    def fragment(self) -> dict[str, Any]:
        """As it stands below `config`."""
        if self.consumer is None:
            return dict(self.config)
        return {"consumers": [{"username": self.consumer, **self.config}]}


EXAMPLES = (
    Example(
        "A PBX, its keys and its sender",
        "Several keys may be valid, so that a new one can replace an old one. The consumer must exist in Kong too.",
        {"api_keys": [DIGEST, "{vault://env/acme-manila-key}"], "sender_id": "SID-1001"},
        consumer="acme-manila",
    ),
    Example(
        "Disable a PBX",
        "`true` enables it again. It is refused with 10005 meanwhile.",
        {"enabled": False},
        consumer="acme-manila",
    ),
    Example(
        "A sender for each number of a PBX",
        "A `from` that is not in the list is refused with 10005.",
        {"senders": {"+63280000001": "SID-1001", "+63280000002": "SID-1002"}},
        consumer="acme-manila",
    ),
    Example(
        "Rate limit per consumer",
        "What is not said here is taken from `rate_limit` of the plugin.",
        {"rate_limit": {"second": 2, "minute": 120, "hour": 2000, "day": 10000}},
        consumer="acme-manila",
    ),
    Example(
        "A FutureSMS account per consumer",
        "The PBX's messages go through, and are charged to, this account.",
        {
            "merchant": {
                "username": "{vault://env/acme-futuresms-username}",
                "password": "{vault://env/acme-futuresms-password}",
                "base_url": "https://api.futuresms.example",
                "timeout_ms": 2000,
                "ca_certificates": "/etc/ssl/certs/ca-certificates.crt",
            }
        },
        consumer="acme-manila",
    ),
    Example(
        "Countries, length and template per consumer",
        "Each wins over what the plugin says for all.",
        {
            "template_id": "TPL1024",
            "text_limit": 24,
            "sms_parts": 1,
            "recipients": {"countries": ["PH", "SG"]},
        },
        consumer="acme-manila",
    ),
    Example(
        "Sender and template for everybody",
        "For every consumer without its own.",
        {"order": {"sender_id": "SID-1", "template_id": "TPL1001"}},
    ),
    Example(
        "Longest text",
        "At most 320 characters and two SMS. A longer text is refused with 10002, which says how long it may be.",
        {"order": {"text_limit": 320, "sms_parts": 2}},
    ),
    Example(
        "Countries",
        "A recipient elsewhere is refused with 10005. What a stolen key can cost is bounded by this.",
        {"recipients": {"countries": ["PH"]}},
    ),
    Example(
        "How strictly recipients are checked",
        "`possible`: the length is right. `valid`: the range is assigned. `mobile`: and can receive SMS.",
        {"recipient_check": "mobile"},
    ),
    Example(
        "The FutureSMS account",
        "Vault references: the environment variables `FUTURESMS_USERNAME` and `FUTURESMS_PASSWORD` of Kong.",
        {
            "merchant": {
                "username": "{vault://env/futuresms-username}",
                "password": "{vault://env/futuresms-password}",
            }
        },
    ),
    Example(
        "Address, time limit and certificates of FutureSMS",
        "For log-ins, and for an order that is submitted again. Without `base_url`: the address of the Kong service.",
        {
            "merchant": {
                "base_url": "https://api.futuresms.example",
                "timeout_ms": 3000,
                "ca_certificates": "/etc/ssl/certs/ca-certificates.crt",
            }
        },
    ),
    Example(
        "The order call",
        "Only where FutureSMS tells you so: another path, another field for the text, an address for delivery reports.",
        {
            "order": {
                "path": "/api/v1/sms/sends",
                "text_field": "var",
                "dlr_address": "https://reports.example.com/futuresms",
            }
        },
    ),
    Example(
        "Delivery reports",
        "What became of each message, in log and metrics.",
        {
            "delivery_reports": {
                "enabled": True,
                "public_url": "https://sms.example.com",
                "secret": "{vault://env/delivery-report-secret}",
            }
        },
    ),
    Example(
        "Rate limit for everybody, one node",
        "For each consumer without its own. `max_wait_ms`: how long a message that comes early waits for its turn.",
        {
            "rate_limit": {
                "second": 5,
                "minute": 300,
                "hour": 18000,
                "day": 50000,
                "max_wait_ms": 1000,
                "policy": "local",
                "hide_client_headers": False,
            }
        },
    ),
    Example(
        "Rate limit, several nodes",
        "One count for all nodes, in Redis, with TLS and an ACL user. While Redis is away each node counts for itself.",
        {
            "rate_limit": {
                "policy": "redis",
                "fault_tolerant": True,
                "redis": {
                    "host": "redis.example.com",
                    "port": 6380,
                    "username": "limiter",
                    "password": "{vault://env/redis-password}",
                    "database": 1,
                    "ssl": True,
                    "ssl_verify": True,
                    "ca_certificates": "/etc/ssl/certs/redis-ca.pem",
                    "timeout_ms": 200,
                },
            }
        },
    ),
    Example(
        "Kong's own authentication",
        "A Kong plugin such as key-auth has established the consumer. `examples/key-auth` is complete.",
        {"authentication": "kong", "consumer_cache_seconds": 5},
    ),
    Example(
        "Log",
        "One JSON object a line. `debug` has a line for each message as well.",
        {"log": {"level": "debug", "format": "json"}},
    ),
    Example(
        "Metrics",
        "For Prometheus. There is no password: listen where only Prometheus gets to.",
        {"metrics": {"listen": "127.0.0.1:9542"}},
    ),
)


def page() -> str:
    """Every example, a heading each."""
    return "\n".join(_section(example) for example in EXAMPLES).rstrip() + "\n"


def _section(example: Example) -> str:
    tabs = {
        "kong.yml": ("yaml", declarative(example)),
        "Admin API": ("sh", admin_api(example)),
        "decK": ("yaml", deck(example)),
        "Kubernetes": ("yaml", manifest(example)),
    }
    parts = [f"## {example.title}\n", f"{example.words}\n"]
    for name, (language, code) in tabs.items():
        block = f"```{language}\n{code.rstrip()}\n```\n"
        parts.append(f'=== "{name}"\n\n{textwrap.indent(block, "    ")}')
    return "\n".join(parts)


def declarative(example: Example) -> str:
    """The entry of `plugins` of the route."""
    return _yaml([{"name": PLUGIN, "config": example.fragment}])


def admin_api(example: Example) -> str:
    """A PATCH. A list is replaced as a whole, so that an entry of `consumers` is changed in what is there."""
    find = f"""id=$({CURL} {ADMIN_API}/routes/yeastar-sms/plugins |
  jq -r '.data[] | select(.name == "{PLUGIN}").id')
"""
    patch = f"{CURL} -X PATCH {ADMIN_API}/plugins/$id \\\n  -H 'Content-Type: application/json' --data"
    if example.consumer is None:
        return f"{find}{patch} '{json.dumps({'config': example.config})}'\n"
    said = json.dumps(example.config)
    return (
        f"{find}{CURL} {ADMIN_API}/plugins/$id |\n"
        f"  jq '{{config: {{consumers: (.config.consumers | map(\n"
        f'    if .username == "{example.consumer}" then . * {said} else . end))}}}}\' |\n'
        f"  {patch} @-\n"
    )


def deck(example: Example) -> str:
    """The plugin in a file that `deck gateway sync` reads, below its route."""
    return _yaml(
        {
            "_format_version": "3.0",
            "_info": {"select_tags": ["yeastar"]},
            "plugins": [{"name": PLUGIN, "route": "yeastar-sms", "config": example.fragment}],
        }
    )


def manifest(example: Example) -> str:
    """A KongPlugin for the ingress controller."""
    return _yaml(
        {
            "apiVersion": "configuration.konghq.com/v1",
            "kind": "KongPlugin",
            "metadata": {"name": PLUGIN, "namespace": "yeastar"},
            "plugin": PLUGIN,
            "config": example.fragment,
        }
    )


def paths(config: Mapping[str, Any], prefix: str = "config") -> Iterator[str]:
    """The settings that a configuration names, as in reference.paths(): `config.consumers.api_keys`."""
    for name, value in config.items():
        path = f"{prefix}.{name}"
        yield path
        inner = value[0] if isinstance(value, list) and value and isinstance(value[0], Mapping) else value
        if isinstance(inner, Mapping) and name != "senders":
            yield from paths(inner, path)


def _yaml(value: Any) -> str:
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(value, stream)
    return textwrap.dedent(stream.getvalue())
