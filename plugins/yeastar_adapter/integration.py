"""What all instances of one configuration share: Kong starts one in every nginx worker."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from .config import Consumer, Settings
from .futuresms.merchant import Account
from .futuresms.session import MerchantSession
from .futuresms.sessions import session_of
from .gateway.call import Call
from .gateway.consumers import authentication_for
from .limits import open_limiter
from .observability import logs
from .yeastar.errors import NO_PERMISSION, SERVICE_UNAVAILABLE, Refusal

log = logging.getLogger(__name__)

_lock = threading.Lock()
_integrations: WeakValueDictionary[str, Integration] = WeakValueDictionary()


class Integration:
    """Settings, and the things made of them: authentication, limiter, Merchant sessions.

    Counts and sessions themselves belong to the process and go on when a configuration is replaced.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        logs.configure(settings.log_level, settings.log_format)
        self.authentication = authentication_for(settings)
        self.limiter = open_limiter(settings.rate_limit)
        self._sessions: dict[Account, MerchantSession] = {}
        self._service_address: str | None = None

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
        """Protocol, host and port of the route's Kong service, asked for once."""
        if self._service_address is None:
            service = call.kong.router.get_service()
            if not service:
                raise Refusal(
                    SERVICE_UNAVAILABLE,
                    reason="the route has no Kong service; give it one, or set merchant.base_url",
                )
            self._service_address = f"{service['protocol']}://{service['host']}:{service['port']}"
        return self._service_address


def integration_of(config: Mapping[str, Any]) -> Integration:
    """The integration of a configuration: the same one for every worker that Kong starts it in.

    Raises ConfigurationError.
    """
    key = json.dumps(config, sort_keys=True)
    with _lock:
        integration = _integrations.get(key)
        if integration is None:
            settings = Settings.parse(config)
            for warning in settings.warnings:
                log.warning("%s", warning)
            integration = _integrations[key] = Integration(settings)
        return integration
