"""All ledgers of the process: one a Redis server, whatever number of plugin instances use it, and the local one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from ..limits.settings import RateLimitSettings, RedisSettings
from .ledger import Ledger, LocalLedger

if TYPE_CHECKING:
    from .redis_ledger import RedisLedger

_lock = threading.Lock()
_ledgers: WeakValueDictionary[RedisSettings, RedisLedger] = WeakValueDictionary()

local = LocalLedger()


def ledger_for(settings: RateLimitSettings) -> Ledger:
    """The ledger that goes with `rate_limit.policy`; one in Redis lives as long as somebody holds it."""
    if settings.policy != "redis":
        return local
    from .redis_ledger import RedisLedger  # late, as in `limits`

    with _lock:
        ledger = _ledgers.get(settings.redis)
        if ledger is None:
            ledger = _ledgers[settings.redis] = RedisLedger(settings.redis, local)
        return ledger


def redis_ledgers() -> list[RedisLedger]:
    """Those in Redis that are in use now."""
    with _lock:
        return list(_ledgers.values())
