"""Whose the trading account is, without a connection to the broker."""

from __future__ import annotations

from trading_core.adapters.account_claim import AccountClaim, account_locks
from trading_core.settings import Settings, load_settings
from trading_core.wiring.broker import Place


def account_claim(settings: Settings | None = None) -> AccountClaim:
    """The claim of the account that the settings trade. Raises ``ConfigError``."""
    settings = settings or load_settings()
    place = Place.of(settings)
    _, claim = account_locks(settings.lock_dir, place.key, place.label, settings.store_path)
    return claim
