"""What an instance of the plugin works with; Kong starts one for a configuration in every nginx worker."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from .authentication import authentication_for
from .delivery_reports import ledgers
from .delivery_reports.endpoint import DeliveryReports, Observer
from .futuresms.merchant import Account
from .futuresms.session import MerchantSession
from .futuresms.sessions import session_of
from .limits import open_limiter
from .observability import deliveries, logs, requests
from .observability.exporter import Exporter, exporter_at
from .settings import Consumer, Settings
from .yeastar.errors import NO_PERMISSION, SERVICE_UNAVAILABLE, Refusal

log = logging.getLogger(__name__)

_lock = threading.Lock()
_settings: WeakValueDictionary[str, Settings] = WeakValueDictionary()

_exporter_of_unusable: Exporter | None = None
"""Of the newest configuration, if it cannot be used: its metrics are what tells of it."""


class Integration:
    """One instance's settings, and the things made of them: authentication, limiter, Merchant sessions.

    Counts and sessions themselves belong to the process: workers share them, and they go on when a
    configuration is replaced. Raises ConfigurationError.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        global _exporter_of_unusable
        self._exporter = _exporter_of_unusable = exporter_at((config.get("metrics") or {}).get("listen"))
        self.settings = settings_of(config)
        self.authentication = authentication_for(self.settings)
        self.limiter = open_limiter(self.settings.rate_limit)
        self.reports = _delivery_reports(self.settings)
        self._sessions: dict[tuple[str, str | None], MerchantSession] = {}
        _exporter_of_unusable = None

    def session(self, consumer: Consumer, service: str | None) -> MerchantSession:
        """The Merchant session that a consumer's orders go through.

        Raises Refusal: 10005 without an account, 10007 where nobody says where FutureSMS is.
        """
        session = self._sessions.get((consumer.username, service))
        if session is not None:
            return session
        merchant = consumer.merchant
        if merchant is None:
            raise Refusal(NO_PERMISSION, reason=f"consumer '{consumer.username}' has no FutureSMS account")
        address = merchant.base_url or service
        if not address:
            raise Refusal(
                SERVICE_UNAVAILABLE,
                reason="the route has no Kong service; give it one, or set merchant.base_url",
            )
        account = Account(
            address, merchant.username, merchant.password, merchant.timeout, merchant.ca_certificates
        )
        session = self._sessions[consumer.username, service] = session_of(account)
        return session


def _delivery_reports(settings: Settings) -> DeliveryReports:
    addresses = settings.delivery_reports.addresses
    ledger = ledgers.ledger_for(settings.rate_limit) if addresses else ledgers.local
    observer = Observer(deliveries.reported, deliveries.refused, deliveries.expected, requests.counters.label)
    return DeliveryReports(addresses, ledger, observer)


def settings_of(config: Mapping[str, Any]) -> Settings:
    """The settings of a configuration, read once for all workers that Kong starts it in.

    Raises ConfigurationError.
    """
    # `__seq__` differs from worker to worker.
    key = json.dumps({name: value for name, value in config.items() if name != "__seq__"}, sort_keys=True)
    with _lock:
        settings = _settings.get(key)
        if settings is None:
            settings = _settings[key] = Settings.parse(config)
            logs.configure(settings.log_level, settings.log_format)
            for warning in settings.warnings:
                log.warning("%s", warning)
        return settings
