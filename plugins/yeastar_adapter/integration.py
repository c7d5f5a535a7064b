"""What an instance of the plugin works with; Kong starts one for a configuration in every nginx worker."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from .authentication import authentication_for
from .call import HANDED_OVER, Call
from .config import Consumer, Settings
from .futuresms.merchant import Account
from .futuresms.session import MerchantSession
from .futuresms.sessions import session_of
from .limits import open_limiter
from .observability import logs
from .observability.exporter import exporter_at
from .yeastar.errors import NO_PERMISSION, SERVICE_UNAVAILABLE, Refusal

log = logging.getLogger(__name__)

_lock = threading.Lock()
_settings: WeakValueDictionary[str, Settings] = WeakValueDictionary()


class Integration:
    """One instance's settings, and the things made of them: authentication, limiter, Merchant sessions.

    Counts and sessions themselves belong to the process: workers share them, and they go on when a
    configuration is replaced. Raises ConfigurationError.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.settings = settings_of(config)
        self.authentication = authentication_for(self.settings)
        self.limiter = open_limiter(self.settings.rate_limit)
        self._exporter = exporter_at(self.settings.metrics_listen)
        self._sessions: dict[Account, MerchantSession] = {}
        self._service_address: str | None = None
        # An instance of a consumer alone runs on every route that the consumer uses.
        self._has_one_service = not config.keys().isdisjoint(("route_id", "service_id"))
        self._has_reader = True

    def handed_over(self, kong: Any) -> Mapping[str, Any] | None:
        """The request as the reader in kong.yml has left it: one PDK call in place of three.

        None on a route without a reader, which is asked about once.
        """
        if not self._has_reader:
            return None
        request: Mapping[str, Any] | None = kong.nginx.get_ctx(HANDED_OVER)
        self._has_reader = request is not None
        return request

    def session(self, call: Call, consumer: Consumer) -> MerchantSession:
        """The Merchant session that a consumer's orders go through. Raises Refusal 10005 without an account."""
        merchant = consumer.merchant
        if merchant is None:
            raise Refusal(NO_PERMISSION, reason=f"consumer '{consumer.username}' has no merchant account")
        address = merchant.base_url or self._address_of_service(call)
        account = Account(address, merchant.username, merchant.password, merchant.timeout)
        session = self._sessions.get(account)
        if session is None:
            session = self._sessions[account] = session_of(account)
        return session

    def _address_of_service(self, call: Call) -> str:
        """Protocol, host and port of the route's Kong service; asked for once where it cannot change."""
        address = self._service_address
        if address is None:
            service = call.kong.router.get_service()
            if not service:
                raise Refusal(
                    SERVICE_UNAVAILABLE,
                    reason="the route has no Kong service; give it one, or set merchant.base_url",
                )
            address = f"{service['protocol']}://{service['host']}:{service['port']}"
            if self._has_one_service:
                self._service_address = address
        return address


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
