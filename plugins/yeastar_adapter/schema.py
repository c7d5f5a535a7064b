"""The plugin's Kong schema, as data. What cannot be said here is checked when an instance starts: `settings.py`."""

from __future__ import annotations

from typing import Any

NAME = "yeastar-adapter"

# Where Kong's own authentication plugins stand (key-auth 1250 … acl 950): after those that may establish the
# consumer (`authentication: kong`), before those that want to know it (acl, rate-limiting).
PRIORITY = 1000

# What may be blank without anything being wrong: then it is off.
OPTIONAL = frozenset(
    {("metrics", "listen"), ("delivery_reports", "public_url"), ("delivery_reports", "secret")}
)

Field = dict[str, dict[str, Any]]


def _referenceable(description: str, **more: Any) -> dict[str, Any]:
    """A string that a vault may hold.

    A variable that is not set arrives as "", whatever the schema says: so a "" that is written out is let through
    too, and both are judged alike, when the instance starts.
    """
    return {"type": "string", "referenceable": True, "len_min": 0, "description": description, **more}


def _secret(description: str) -> dict[str, Any]:
    return _referenceable(description, encrypted=True)


def _windows() -> list[Field]:
    return [
        {
            window: {
                "type": "integer",
                "gt": 0,
                "description": f"At most this many requests in any {window}; not set: no limit.",
            }
        }
        for window in ("second", "minute", "hour", "day")
    ]


_CA_CERTIFICATES: dict[str, Any] = {
    "type": "string",
    "len_min": 1,
    "description": "A PEM file with the certificates to trust; not set: the system's bundle, else certifi's.",
}


def _text_rules() -> list[Field]:
    return [
        {
            "text_limit": {
                "type": "integer",
                "between": [1, 2000],
                "description": "Maximum length of a text, in characters; not set: 2000.",
            }
        },
        {
            "sms_parts": {
                "type": "integer",
                "between": [1, 255],
                "description": "Maximum number of SMS for one text, counted as GSM 03.38 and UCS-2 do; "
                "not set: any number.",
            }
        },
    ]


_RECIPIENTS: dict[str, Any] = {
    "type": "record",
    "fields": [
        {
            "countries": {
                "type": "array",
                "elements": {"type": "string", "len_min": 2, "len_max": 2},
                "len_min": 1,
                "description": "Countries that messages may go to, such as `[PH, SG]`; not set: any.",
            }
        }
    ],
}


def _merchant(timeout: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "record",
        "fields": [
            {"username": _referenceable("User of the Merchant API.")},
            {"password": _secret("Password of that user.")},
            {
                "base_url": {
                    "type": "string",
                    "starts_with": "http",
                    "description": "Address of the Merchant API for log-ins, and for an order that is submitted again; "
                    "not set: the address of the Kong service.",
                }
            },
            {"timeout_ms": timeout},
            {"ca_certificates": _CA_CERTIFICATES},
        ],
    }


_TIMEOUT = {
    "type": "integer",
    "between": [1, 60000],
    "description": "Timeout for a token, and for an order that is submitted again, in milliseconds.",
}

_SENDER_ID = _referenceable("FutureSMS sender: `SID-…` or `AUTO`. The PBX's `from` does not choose it.")
_TEMPLATE_ID = _referenceable(
    "Approved FutureSMS template that takes the text; a pass-through one takes up to 2000 characters."
)

_CONSUMER = {
    "type": "record",
    "fields": [
        {"username": {"type": "string", "required": True, "len_min": 1, "description": "The Kong consumer."}},
        {
            "api_keys": {
                "type": "array",
                "default": [],
                "elements": _secret(
                    "`sha256:<64 hex>`, a vault reference, or a key of at least 20 characters."
                ),
                "description": "The keys of this PBX; several during key rotation.",
            }
        },
        {
            "enabled": {
                "type": "boolean",
                "default": True,
                "description": "Whether this PBX may send; false: it gets 403/10005.",
            }
        },
        {"sender_id": _SENDER_ID},
        {"template_id": _TEMPLATE_ID},
        {
            "senders": {
                "type": "map",
                "keys": {"type": "string"},
                "values": {"type": "string", "referenceable": True, "len_min": 0},
                "description": "FutureSMS sender by the PBX's `from`; when given, any other `from` is refused.",
            }
        },
        *_text_rules(),
        {"recipients": _RECIPIENTS},
        {"merchant": _merchant(_TIMEOUT)},
        {"rate_limit": {"type": "record", "fields": _windows()}},
    ],
}

SCHEMA: list[Field] = [
    {
        "authentication": {
            "type": "string",
            "required": True,
            "default": "bearer",
            "one_of": ["bearer", "kong"],
            "description": "`bearer`: by `consumers[].api_keys`; `kong`: trust the consumer that a Kong "
            "authentication plugin has established.",
        }
    },
    {
        "consumers": {
            "type": "array",
            "default": [],
            "elements": _CONSUMER,
            "description": "One entry for each PBX. What an entry leaves out is taken from the settings below.",
        }
    },
    {
        "order": {
            "type": "record",
            "fields": [
                {
                    "path": {
                        "type": "string",
                        "default": "/api/v1/sms/sends",
                        "starts_with": "/",
                        "description": "Path of the order call.",
                    }
                },
                {"template_id": _TEMPLATE_ID},
                {"sender_id": _SENDER_ID},
                {
                    "text_field": {
                        "type": "string",
                        "default": "var",
                        "len_min": 1,
                        "description": "Field of the order that takes the text.",
                    }
                },
                {
                    "dlr_address": {
                        "type": "string",
                        "len_max": 255,
                        "description": "Where FutureSMS sends delivery reports.",
                    }
                },
                *_text_rules(),
            ],
        }
    },
    {"merchant": _merchant({**_TIMEOUT, "default": 3000})},
    {
        "rate_limit": {
            "type": "record",
            "fields": [
                *_windows(),
                {
                    "max_wait_ms": {
                        "type": "integer",
                        "default": 1000,
                        "between": [0, 5000],
                        "description": "A request that comes early waits this long for its turn, in milliseconds, "
                        "before it is refused with 10006; 0: off.",
                    }
                },
                {
                    "policy": {
                        "type": "string",
                        "default": "local",
                        "one_of": ["local", "redis"],
                        "description": "`redis`: one count for all nodes; `local`: one per node.",
                    }
                },
                {
                    "fault_tolerant": {
                        "type": "boolean",
                        "default": True,
                        "description": "Without Redis: count locally (true), or refuse with 10007 (false).",
                    }
                },
                {
                    "hide_client_headers": {
                        "type": "boolean",
                        "default": True,
                        "description": "`false`: accepted messages carry the `RateLimit-*` headers too, "
                        "for one more PDK call each.",
                    }
                },
                {
                    "redis": {
                        "type": "record",
                        "fields": [
                            {"host": {"type": "string", "default": "redis", "referenceable": True}},
                            {"port": {"type": "integer", "default": 6379, "between": [1, 65535]}},
                            {"username": _referenceable("ACL user of the Redis server.")},
                            {"password": _secret("Password of the Redis server or ACL user.")},
                            {"database": {"type": "integer", "default": 0, "between": [0, 65535]}},
                            {"ssl": {"type": "boolean", "default": False}},
                            {"ssl_verify": {"type": "boolean", "default": True}},
                            {"ca_certificates": _CA_CERTIFICATES},
                            {
                                "timeout_ms": {
                                    "type": "integer",
                                    "default": 200,
                                    "between": [1, 60000],
                                    "description": "Timeout of a request to Redis, in milliseconds.",
                                }
                            },
                        ],
                    }
                },
            ],
        }
    },
    {
        "recipient_check": {
            "type": "string",
            "required": True,
            "default": "possible",
            "one_of": ["possible", "valid", "mobile"],
            "description": "How strictly `to` is checked: a possible length, an assigned range, a mobile range.",
        }
    },
    {"recipients": _RECIPIENTS},
    {
        "delivery_reports": {
            "type": "record",
            "fields": [
                {
                    "enabled": {
                        "type": "boolean",
                        "default": False,
                        "description": "Ask FutureSMS for a delivery report on each order.",
                    }
                },
                {
                    "public_url": _referenceable(
                        "Where FutureSMS reaches this gateway: `https://sms.example.com`."
                    )
                },
                {"secret": _secret("Signs the addresses that reports come to; at least 32 characters.")},
            ],
        }
    },
    {
        "consumer_cache_seconds": {
            "type": "number",
            "default": 5,
            "between": [0, 86400],
            "description": "How long a consumer that was read from Kong is cached, in seconds; while Kong's database "
            "does not answer, until it does.",
        }
    },
    {
        "log": {
            "type": "record",
            "fields": [
                {
                    "level": {
                        "type": "string",
                        "default": "info",
                        "one_of": ["debug", "info", "warning", "error"],
                        "description": "`info`: a line for each refusal and failure; `debug`: for each message.",
                    }
                },
                {
                    "format": {
                        "type": "string",
                        "default": "text",
                        "one_of": ["text", "json"],
                        "description": "Lines of text, or one JSON object per line.",
                    }
                },
            ],
        }
    },
    {
        "metrics": {
            "type": "record",
            "fields": [
                {
                    "listen": _referenceable(
                        "Serve Prometheus metrics here: `127.0.0.1:9542` or `unix:/path`; not set or blank: off."
                    )
                }
            ],
        }
    },
]
