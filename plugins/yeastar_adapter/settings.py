"""The plugin's configuration: the schema that Kong checks, and the settings that the plugin works with."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from . import trust
from .delivery_reports.settings import ReportSettings
from .futuresms.order import OrderForm
from .limits import RateLimits
from .limits.settings import RateLimitSettings, RedisSettings
from .schema import NAME, PRIORITY, SCHEMA
from .yeastar.countries import read_regions
from .yeastar.message import MessageRules
from .yeastar.numbers import E164

__all__ = ["NAME", "PRIORITY", "SCHEMA", "ConfigurationError", "Consumer", "MerchantSettings", "Settings"]

log = logging.getLogger(__name__)

PLAIN_KEY_AT_LEAST = 20
"""Shortest API key that is accepted when it is written out, in characters."""

KONGS_PATIENCE = 5.0
"""How long Kong waits for the adapter's next word, in seconds: `kong/kong.conf` as shipped."""

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.IGNORECASE)

# Visible ASCII without what begins a query or a fragment.
_PATH = re.compile(r"/[!-\"$->@-~]*")

# What an order always has: the text cannot go into one of these.
_ORDER_FIELDS = frozenset({"phone_number", "template_id", "sender_id", "client_order_id", "dlr_address"})


class ConfigurationError(Exception):
    """A configuration that cannot serve anybody; the message names consumer and field and says what to do."""


@dataclass(frozen=True)
class MerchantSettings:
    """A Merchant API account; `base_url` None: the address of the Kong service. `timeout` in seconds.

    `ca_certificates`: a PEM file with the authorities to trust; None: the system's bundle.
    """

    username: str
    password: str = field(repr=False)
    base_url: str | None
    timeout: float
    ca_certificates: str | None = None


@dataclass(frozen=True)
class Consumer:
    """One PBX: what it may and how its messages go out. None: not configured, so nothing can be sent."""

    username: str
    enabled: bool
    limits: RateLimits
    sender_id: str | None
    senders: Mapping[str, str] | None
    order: OrderForm | None
    merchant: MerchantSettings | None
    rules: MessageRules

    def sender_for(self, number: str) -> str | None:
        """The FutureSMS sender for a PBX's `from`, or None when there is none."""
        if self.senders is not None:
            return self.senders.get(number) or None
        return self.sender_id


@dataclass(frozen=True)
class Settings:
    """A whole configuration, checked once.

    `keys`: SHA-256 of a key → (consumer, credential id). `defaults`: what a consumer without an entry of its own
    gets, on an instance that Kong has scoped to a consumer. `warnings`: what an administrator should correct.
    """

    authentication: str
    consumers: Mapping[str, Consumer]
    keys: Mapping[bytes, tuple[Consumer, str]] = field(repr=False)
    defaults: Consumer | None
    rate_limit: RateLimitSettings
    delivery_reports: ReportSettings
    consumer_cache_seconds: float
    log_level: str
    log_format: str
    warnings: tuple[str, ...]

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> Settings:
        """Read a configuration as Kong hands it over: defaults filled in, nulls removed, vaults resolved.

        A consumer that lacks something is kept and refused later, so that the others are undisturbed.
        Raises ConfigurationError for what concerns all of them.
        """
        return _Reading(config).settings()


class _Reading:
    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = _without_line_ends(config)
        self._warnings: list[str] = []
        self._ca_problems: dict[str, str | None] = {}

    def settings(self) -> Settings:
        config = self._config
        consumers: dict[str, Consumer] = {}
        keys: dict[bytes, tuple[Consumer, str]] = {}
        for entry in config.get("consumers") or ():
            consumer = self._consumer(entry)
            if consumer.username in consumers:
                raise ConfigurationError(f"consumers: {consumer.username} has two entries; make them one")
            consumers[consumer.username] = consumer
            self._add_keys(keys, consumer, entry.get("api_keys") or ())
        rate_limit = _rate_limit(config.get("rate_limit") or {})
        self._compare_with_kongs_patience(rate_limit, consumers.values())
        self._check_redis(rate_limit)
        logging_ = config.get("log") or {}
        reports = ReportSettings.parse(
            config.get("delivery_reports") or {}, config.get("order") or {}, consumers
        )
        self._warnings += reports.warnings
        return Settings(
            authentication=config.get("authentication", "bearer"),
            consumers=consumers,
            keys=keys,
            defaults=self._defaults(),
            rate_limit=rate_limit,
            delivery_reports=reports,
            consumer_cache_seconds=float(config.get("consumer_cache_seconds", 5)),
            log_level=logging_.get("level", "info"),
            log_format=logging_.get("format", "text"),
            warnings=tuple(self._warnings),
        )

    def _compare_with_kongs_patience(
        self, rate_limit: RateLimitSettings, consumers: Iterable[Consumer]
    ) -> None:
        redis = rate_limit.redis.timeout_ms if rate_limit.policy == "redis" else 0
        token = max((consumer.merchant.timeout for consumer in consumers if consumer.merchant), default=0.0)
        silence = (redis + rate_limit.max_wait_ms) / 1000 + token
        if silence > KONGS_PATIENCE:
            self._warn(
                "",
                "rate_limit.redis.timeout_ms, rate_limit.max_wait_ms and merchant.timeout_ms together are "
                f"{silence:g} s: nginx_http_lua_socket_read_timeout in kong.conf, {KONGS_PATIENCE:g} s as shipped, "
                "has to be longer, or Kong gives up on requests that are still served",
            )

    def _defaults(self) -> Consumer | None:
        """What a consumer-scoped instance says of its consumer, whose name only Kong knows."""
        if "consumer_id" not in self._config:
            return None
        return self._consumer({"username": ""})

    def _consumer(self, entry: Mapping[str, Any]) -> Consumer:
        username = entry["username"]
        order = {**(self._config.get("order") or {}), **_present(entry, "sender_id", "template_id")}
        senders = entry.get("senders")
        if senders is None and not self._present(username, "sender_id", order):
            order["sender_id"] = None
        for number, sender in (senders or {}).items():
            if not E164.fullmatch(number):
                self._warn(username, f"senders: {number!r} is not an E.164 number and matches no 'from'")
            elif not _usable(sender):
                self._warn(username, f"senders: the sender of '{number}' {_flaw(sender)}")
            elif _has_space(sender):
                self._warn(username, f"senders: the sender of '{number}' has white space in it")
        merchant = self._merchant(username, entry)
        return Consumer(
            username=username,
            enabled=entry.get("enabled", True),
            limits=_rate_limits(
                {**(self._config.get("rate_limit") or {}), **(entry.get("rate_limit") or {})}
            ),
            sender_id=order.get("sender_id"),
            senders=None
            if senders is None
            else {k: v for k, v in senders.items() if _usable(v) and not _has_space(v)},
            order=self._order(username, order, merchant),
            merchant=merchant,
            rules=self._rules(username, entry, order),
        )

    def _rules(self, username: str, entry: Mapping[str, Any], order: Mapping[str, Any]) -> MessageRules:
        return MessageRules(
            recipient_check=self._config.get("recipient_check", "possible"),
            countries=self._countries(username, entry),
            text_limit=entry.get("text_limit", order.get("text_limit")),
            sms_parts=entry.get("sms_parts", order.get("sms_parts")),
        )

    def _countries(self, username: str, entry: Mapping[str, Any]) -> frozenset[str] | None:
        own, common = ((record.get("recipients") or {}).get("countries") for record in (entry, self._config))
        codes = common if own is None else own
        if codes is None:
            return None
        regions, problems = read_regions(codes)
        for problem in problems:
            self._warn(username, f"recipients.countries: {problem}")
        if not regions:
            self._warn(username, "recipients.countries is empty; its messages are refused with 10005")
        return regions

    def _order(
        self, username: str, order: Mapping[str, Any], merchant: MerchantSettings | None
    ) -> OrderForm | None:
        text_field = order.get("text_field", "var")
        if text_field in _ORDER_FIELDS:
            raise ConfigurationError(
                f"order.text_field: '{text_field}' is a field of the order itself; name another"
            )
        for name in ("text_field", "dlr_address"):
            value = order.get(name)
            if value is not None and not _is_unicode(value):
                raise ConfigurationError(f"order.{name} {_flaw(value)}")
        path = order.get("path", "/api/v1/sms/sends")
        if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
            raise ConfigurationError(
                f"order.path: {path!r} is not a plain path; write it as FutureSMS documents it, without a query"
            )
        if not self._present(username, "template_id", order) or merchant is None:
            return None
        return OrderForm(
            path=path,
            template_id=order["template_id"],
            text_field=text_field,
            dlr_address=order.get("dlr_address"),
        )

    def _merchant(self, username: str, entry: Mapping[str, Any]) -> MerchantSettings | None:
        merchant = {**(self._config.get("merchant") or {}), **(entry.get("merchant") or {})}
        complete = [self._present(username, name, merchant, "merchant.") for name in ("username", "password")]
        if not all(complete):
            return None
        base_url = merchant.get("base_url")
        if base_url is not None:
            base_url = base_url.rstrip("/")
            if not _is_address(base_url):
                self._warn(
                    username, "merchant.base_url is not an http or https address; its messages are refused"
                )
                return None
        ca_certificates = merchant.get("ca_certificates")
        problem = self._ca_problem(ca_certificates)
        if problem:
            self._warn(username, f"merchant.ca_certificates: {problem}; its messages are refused with 10005")
            return None
        return MerchantSettings(
            merchant["username"],
            merchant["password"],
            base_url,
            merchant.get("timeout_ms", 3000) / 1000,
            ca_certificates,
        )

    def _check_redis(self, rate_limit: RateLimitSettings) -> None:
        redis = rate_limit.redis
        if rate_limit.policy != "redis" or not redis.ssl:
            return
        if not redis.ssl_verify:
            self._warn("", "rate_limit.redis.ssl_verify is off: any server that answers is accepted as Redis")
        problem = self._ca_problem(redis.ca_certificates)
        if problem:
            self._warn(
                "", f"rate_limit.redis.ca_certificates: {problem}; Redis counts as away until it can be used"
            )

    def _ca_problem(self, path: str | None) -> str | None:
        if path is None:
            return None
        if path not in self._ca_problems:
            self._ca_problems[path] = trust.check(path)
        return self._ca_problems[path]

    def _add_keys(self, keys: dict[bytes, tuple[Consumer, str]], consumer: Consumer, api_keys: Any) -> None:
        usable = 0
        for index, key in enumerate(api_keys, 1):
            digest = self._digest(consumer.username, index, key)
            if digest is None:
                continue
            other = keys.get(digest, (consumer, ""))[0]
            if other is not consumer:
                raise ConfigurationError(
                    f"consumers: {other.username} and {consumer.username} have the same API key; "
                    "give each consumer a key of its own"
                )
            keys.setdefault(digest, (consumer, f"{consumer.username}/api_keys/{index}"))
            usable += 1
        if not usable and self._config.get("authentication", "bearer") == "bearer":
            self._warn(consumer.username, "api_keys: no usable key; nobody can authenticate as this consumer")

    def _digest(self, username: str, index: int, key: str) -> bytes | None:
        field_name = f"api_keys[{index}]"
        key = key.strip()
        if not key:
            self._warn(
                username, f"{field_name} is blank (a vault variable that is not set?) and matches no key"
            )
        elif key.lower().startswith("sha256:"):
            digest = _DIGEST.fullmatch(key)
            if digest:
                return bytes.fromhex(digest[1])
            self._warn(username, f"{field_name}: 'sha256:' wants 64 hexadecimal digits; it matches no key")
        elif key.startswith("{vault"):
            # Taken for a key, it would be one that everybody knows who has seen the configuration.
            self._warn(
                username, f"{field_name} is a vault reference with a mistake in it, and is not accepted"
            )
        elif len(key.split()) > 1:
            self._warn(username, f"{field_name} has white space in it and matches no key")
        elif len(key) < PLAIN_KEY_AT_LEAST:
            self._warn(
                username, f"{field_name} is shorter than {PLAIN_KEY_AT_LEAST} characters and is not accepted"
            )
        else:
            return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        return None

    def _present(self, username: str, name: str, record: Mapping[str, Any], prefix: str = "order.") -> bool:
        value = record.get(name)
        if value is None:
            state = "is not set"
        elif not _usable(value):
            state = _flaw(value)
        elif prefix == "order." and _has_space(value):
            state = "has white space in it"
        else:
            return True
        self._warn(username, f"{prefix}{name} {state}; its messages are refused with 10005")
        return False

    def _warn(self, username: str, problem: str) -> None:
        shown = username if username.isprintable() else repr(username)
        self._warnings.append(f"consumer {shown}: {problem}" if username else f"this instance: {problem}")


def _present(entry: Mapping[str, Any], *names: str) -> dict[str, Any]:
    # A blank override is an override: it must not fall back on somebody else's sender.
    return {name: entry[name] for name in names if entry.get(name) is not None}


def _rate_limits(record: Mapping[str, Any]) -> RateLimits:
    return RateLimits(*(record.get(window) for window in ("second", "minute", "hour", "day")))


def _rate_limit(record: Mapping[str, Any]) -> RateLimitSettings:
    redis = {name: value for name, value in (record.get("redis") or {}).items() if name in _REDIS_FIELDS}
    for name in ("username", "password"):
        # A vault variable that is not set arrives as "": no credential, rather than an empty one.
        redis[name] = redis[name] if (redis.get(name) or "").strip() else None
    options = {
        name: record[name]
        for name in ("max_wait_ms", "policy", "fault_tolerant", "hide_client_headers")
        if name in record
    }
    return RateLimitSettings(**options, redis=RedisSettings(**redis))


_REDIS_FIELDS = frozenset(RedisSettings.__dataclass_fields__)


def _is_address(url: str) -> bool:
    """Scheme, host, and perhaps port and path. `urlsplit` alone overlooks line breaks."""
    try:
        parts = urlsplit(url)
        beside = (
            parts.username is not None or parts.query or parts.fragment or not url.isprintable() or " " in url
        )
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not beside
    except ValueError:
        return False


def _without_line_ends(value: Any) -> Any:
    """The same, where strings do not end in a line break: a secret that comes from a file has one often."""
    if isinstance(value, str):
        return value.rstrip("\r\n")
    if isinstance(value, Mapping):
        return {name: _without_line_ends(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_line_ends(one) for one in value]
    return value


def _usable(value: str) -> bool:
    return bool(value.strip()) and _is_unicode(value) and not re.search(r"[\r\n]", value)


def _has_space(value: str) -> bool:
    return value.split() != [value]


def _is_unicode(value: str) -> bool:
    """Whether it can be sent. A vault brings in bytes of any kind; those that are not UTF-8 arrive as surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _flaw(value: str) -> str:
    if not value.strip():
        return "is blank (a vault variable that is not set?)"
    return "has a line break in it" if _is_unicode(value) else "is not valid UTF-8"
