"""All Merchant sessions of the process: one an account, whatever number of plugin instances use it."""

from __future__ import annotations

import threading
from weakref import WeakValueDictionary

from .merchant import Account
from .session import MerchantSession

_lock = threading.Lock()
_sessions: WeakValueDictionary[Account, MerchantSession] = WeakValueDictionary()


def session_of(account: Account) -> MerchantSession:
    """The session of an account; it lives as long as somebody holds it."""
    with _lock:
        session = _sessions.get(account)
        if session is None:
            session = _sessions[account] = MerchantSession(account)
        return session


def open_sessions() -> list[MerchantSession]:
    """The sessions that are in use now."""
    with _lock:
        return list(_sessions.values())
